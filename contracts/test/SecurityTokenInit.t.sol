// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {SecurityToken} from "../sol/SecurityToken.sol";
import {INodeFactory} from "../sol/interfaces/INodeFactory.sol";
import {ISecurityToken} from "../sol/interfaces/ISecurityToken.sol";
import {Base} from "./Base.sol";

/// @notice A token that no factory made: it looks after itself.
contract SecurityTokenInitTest is Base {
    function test_a_token_without_a_registry_is_refused() public {
        ISecurityToken.TokenInit memory init = valid();
        init.registry = carol;
        vm.expectRevert(abi.encodeWithSelector(ISecurityToken.InvalidRegistry.selector, carol));
        this.deploy(init);
    }

    function deploy(ISecurityToken.TokenInit calldata init) external returns (SecurityToken) {
        bytes memory call = abi.encodeCall(ISecurityToken.initialize, (init));
        return SecurityToken(address(new ERC1967Proxy(address(new SecurityToken()), call)));
    }

    function valid() private view returns (ISecurityToken.TokenInit memory) {
        INodeFactory.NodeContracts memory none;
        return
            ISecurityToken.TokenInit(INSTRUMENT, "n", "s", 18, 1, address(registry), admin, 0, address(executor), none);
    }
}
