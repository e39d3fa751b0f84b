// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {SecurityToken, Token} from "../../sol/SecurityToken.sol";
import {INodeFactory} from "../../sol/interfaces/INodeFactory.sol";
import {ISecurityToken} from "../../sol/interfaces/ISecurityToken.sol";
import {Vm} from "../Base.sol";

/// @notice A registry that admits everybody: what it says is not at issue here.
contract OpenRegistry {
    function check(address, address) external pure returns (uint8, uint16) {
        return (0, 756);
    }
}

/// @notice Rules of allowances and balances, for all amounts and wallets. Proved by halmos (`node tools/check.mjs
/// halmos`), never run by forge.
contract AllowancesProof {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant MAX = type(uint104).max;
    address private constant OWNER = address(0xa11ce);
    address private constant TAKER = address(0xb0b);
    address private constant SPENDER = address(0xca401);

    Token private token;

    function setUp() public {
        INodeFactory.NodeContracts memory none;
        ISecurityToken.TokenInit memory init = ISecurityToken.TokenInit({
            instrumentId: "T",
            name: "Token",
            symbol: "T",
            decimals: 18,
            maxSupply: MAX,
            registry: address(new OpenRegistry()),
            admin: address(1),
            adminDelay: 0,
            operator: address(this),
            contracts: none
        });
        bytes memory data = abi.encodeCall(SecurityToken.initialize, (init));
        token = Token(address(new ERC1967Proxy(address(new SecurityToken()), data)));
    }

    function check_an_approval_sets_what_it_says_and_no_other_allowance(
        uint256 amount,
        address owner,
        address spender,
        address otherOwner,
        address otherSpender
    ) public {
        vm.assume(owner != address(0) && spender != address(0));
        vm.assume(otherOwner != owner || otherSpender != spender);
        uint256 before = token.allowance(otherOwner, otherSpender);
        vm.prank(owner);
        token.approve(spender, amount);
        assert(token.allowance(owner, spender) == amount);
        assert(token.allowance(otherOwner, otherSpender) == before);
    }

    /// @dev It moves exactly what it says, if and only if both the balance and the allowance have it.
    function check_a_spender_moves_what_both_allowance_and_balance_have(uint256 balance, uint256 allowed, uint256 value)
        public
    {
        endow(balance, allowed);
        vm.prank(SPENDER);
        (bool ok,) = address(token).call(abi.encodeCall(token.transferFrom, (OWNER, TAKER, value)));
        assert(ok == (value <= balance && value <= allowed));
        uint256 moved = ok ? value : 0;
        assert(token.balanceOf(OWNER) == balance - moved);
        assert(token.balanceOf(TAKER) == moved);
        assert(token.totalSupply() == balance);
        // The largest allowance does not end.
        uint256 spent = allowed == type(uint256).max ? 0 : moved;
        assert(token.allowance(OWNER, SPENDER) == allowed - spent);
    }

    function check_a_spender_touches_nobody_elses_allowance_or_balance(
        uint256 balance,
        uint256 allowed,
        uint256 value,
        address owner,
        address spender
    ) public {
        vm.assume(owner != OWNER || spender != SPENDER);
        vm.assume(owner != OWNER && owner != TAKER);
        endow(balance, allowed);
        uint256 before = token.allowance(owner, spender);
        vm.prank(SPENDER);
        (bool ok,) = address(token).call(abi.encodeCall(token.transferFrom, (OWNER, TAKER, value)));
        vm.assume(ok);
        assert(token.allowance(owner, spender) == before);
        assert(token.balanceOf(owner) == 0);
    }

    /// @dev Without an allowance there is no spending, whoever calls.
    function check_nobody_spends_without_an_allowance(uint256 balance, uint256 value, address caller) public {
        vm.assume(value != 0 && caller != OWNER);
        endow(balance, 0);
        vm.prank(caller);
        (bool ok,) = address(token).call(abi.encodeCall(token.transferFrom, (OWNER, TAKER, value)));
        assert(!ok);
    }

    /// @dev No transfer of its own, and no act of the operator, spends or makes an allowance.
    function check_transfers_mints_and_burns_leave_allowances(
        uint256 balance,
        uint256 allowed,
        uint256 value,
        uint8 act
    ) public {
        endow(balance, allowed);
        if (act == 0) {
            vm.prank(OWNER);
            require(token.transfer(TAKER, value));
        } else if (act == 1) {
            token.mint(OWNER, value, 0);
        } else if (act == 2) {
            token.burn(OWNER, value, 0);
        } else {
            token.forcedTransfer(OWNER, TAKER, value, 0);
        }
        assert(token.allowance(OWNER, SPENDER) == allowed);
    }

    function check_a_transfer_keeps_the_sum(uint256 balance, uint256 value, bool toSelf) public {
        endow(balance, 0);
        address to = toSelf ? OWNER : TAKER;
        vm.prank(OWNER);
        (bool ok,) = address(token).call(abi.encodeCall(token.transfer, (to, value)));
        assert(ok == (value <= balance));
        assert(token.balanceOf(OWNER) + token.balanceOf(TAKER) == balance);
        assert(token.balanceOf(TAKER) == (ok && !toSelf ? value : 0));
        assert(token.totalSupply() == balance);
    }

    /// @dev A permit that is late changes nothing, whatever is signed.
    function check_a_late_permit_is_refused(uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) public {
        vm.assume(deadline < block.timestamp);
        bytes memory data = abi.encodeCall(token.permit, (OWNER, SPENDER, value, deadline, v, r, s));
        (bool ok,) = address(token).call(data);
        assert(!ok);
        assert(token.allowance(OWNER, SPENDER) == 0);
    }

    /// @dev Some units, and an allowance on them.
    function endow(uint256 balance, uint256 allowed) private {
        vm.assume(balance <= MAX);
        token.mint(OWNER, balance, 0);
        vm.prank(OWNER);
        token.approve(SPENDER, allowed);
    }
}
