// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {
    IAccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/IAccessControlDefaultAdminRules.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {UpgradeableBeacon} from "@openzeppelin/contracts/proxy/beacon/UpgradeableBeacon.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {INodeContract} from "../interfaces/INodeContract.sol";
import {INodeFactory} from "../interfaces/INodeFactory.sol";
import {ISecurityToken} from "../interfaces/ISecurityToken.sol";
import {ITokenExtension} from "../interfaces/ITokenExtension.sol";

/// @title ForbiddenSelectors
/// @notice What no Executor may ever be allowed to call: functions that move money, roles or code.
library ForbiddenSelectors {
    function contains(bytes4 selector) internal pure returns (bool) {
        return selector == IERC20.transfer.selector || selector == IERC20.transferFrom.selector
            || selector == IERC20.approve.selector || selector == IAccessControl.grantRole.selector
            || selector == IAccessControl.revokeRole.selector || selector == IAccessControl.renounceRole.selector
            || selector == IAccessControlDefaultAdminRules.beginDefaultAdminTransfer.selector
            || selector == IAccessControlDefaultAdminRules.acceptDefaultAdminTransfer.selector
            || selector == IAccessControlDefaultAdminRules.cancelDefaultAdminTransfer.selector
            || selector == IAccessControlDefaultAdminRules.changeDefaultAdminDelay.selector
            || selector == IAccessControlDefaultAdminRules.rollbackDefaultAdminDelay.selector
            || selector == Ownable.transferOwnership.selector || selector == Ownable.renounceOwnership.selector
            || selector == UpgradeableBeacon.upgradeTo.selector || selector == UUPSUpgradeable.upgradeToAndCall.selector
            || selector == ISecurityToken.initialize.selector || selector == ITokenExtension.setRegistry.selector
            || selector == ITokenExtension.replaceOperator.selector || selector == INodeFactory.replaceExecutor.selector
            || selector == INodeFactory.upgradeTokens.selector || selector == INodeFactory.setImplementations.selector
            || selector == INodeContract.initialize.selector || selector == INodeContract.setTreasury.selector;
    }
}
