// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title IInvestorRegistry
/// @notice Who stands behind a wallet, platform-wide: one slot per wallet.
interface IInvestorRegistry {
    /// @param investorId Number of the investor; 0 is no investor. A wallet never moves to another one.
    /// @param country ISO 3166-1 numeric; 0 = not given.
    /// @param investorClass Class of the investor as the platform numbers it; 0 = not given.
    /// @param kycExpiresAt Unix seconds from which the KYC no longer counts; 0 = never.
    /// @param flags Bit 0 whitelisted, bit 1 sanctioned; the others are free.
    struct Investor {
        uint64 investorId;
        uint16 country;
        uint8 investorClass;
        uint40 kycExpiresAt;
        uint8 flags;
    }

    /// @notice One entry of a batch.
    struct Entry {
        address wallet;
        Investor investor;
        bytes32 reason;
    }

    /// @notice The whole record of `wallet` after a change.
    event InvestorChanged(
        address indexed wallet,
        uint64 indexed investorId,
        uint16 country,
        uint8 investorClass,
        uint40 kycExpiresAt,
        uint8 flags,
        bytes32 reason,
        address operator
    );

    /// @notice The zero address cannot be registered.
    error InvalidWallet();

    /// @notice Investor id 0 means no investor.
    error InvalidInvestorId();

    /// @notice `wallet` belongs to `investorId` and stays there.
    error WalletBelongsTo(address wallet, uint64 investorId);

    /// @notice `wallet` was never registered.
    error UnknownWallet(address wallet);

    /// @notice Writes the record of one wallet.
    /// @custom:access REGISTRAR_ROLE
    function setInvestor(address wallet, Investor calldata investor, bytes32 reason) external;

    /// @notice Writes many records; emits what as many single calls would.
    /// @custom:access REGISTRAR_ROLE
    function setInvestors(Entry[] calldata entries) external;

    /// @notice Takes the whitelisting of `wallet` away; the rest of its record stays.
    /// @custom:access REGISTRAR_ROLE
    function revoke(address wallet, bytes32 reason) external;

    /// @notice Takes the registrar's role from one address and gives it to another, in that order.
    /// @custom:access DEFAULT_ADMIN_ROLE
    function replaceOperator(address from, address to) external;

    /// @notice The record of `wallet`; all zero if it has none.
    function investorOf(address wallet) external view returns (Investor memory);

    /// @notice The first reason why `from` may not send or `to` may not receive, as a code of
    /// `RestrictionCodes`. The zero address stands for a side that needs no look.
    /// @return code 0 where nothing speaks against it.
    /// @return toCountry Country of the investor behind `to`; 0 where the code is not 0 or `to` is zero.
    function check(address from, address to) external view returns (uint8 code, uint16 toCountry);
}
