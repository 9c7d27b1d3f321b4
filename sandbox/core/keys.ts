/** Names of things: accounts, assets, contracts and ledger keys between their XDR forms and the strings used here. */
import { Address, Asset, StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { AssetId } from './types.ts';

type Muxed = xdr.MuxedAccount;

/** The plain `G…` account behind a possibly muxed address. */
export function accountId(account: Muxed | xdr.PublicKey): string {
  return account.type === 'keyTypeMuxedEd25519'
    ? StrKey.encodeEd25519PublicKey(account.med25519.ed25519.value)
    : StrKey.encodeEd25519PublicKey(account.ed25519.value);
}

/** The 64-bit id of a muxed address, or null. */
export function muxedId(account: Muxed): bigint | null {
  return account.type === 'keyTypeMuxedEd25519' ? account.med25519.id : null;
}

/** The `M…` form of a muxed address, or null. */
export function muxedAddress(account: Muxed): string | null {
  if (account.type !== 'keyTypeMuxedEd25519') return null;
  const id = Buffer.alloc(8);
  id.writeBigUInt64BE(account.med25519.id);
  return StrKey.encodeMed25519PublicKey(Buffer.concat([account.med25519.ed25519.value, id]));
}

function assetCode(code: Uint8Array): string {
  return Buffer.from(code).toString('latin1').replace(/\0+$/, '');
}

/** `native` or `CODE:ISSUER`; undefined for a pool share. */
export function assetId(asset: xdr.Asset | xdr.TrustLineAsset | xdr.ChangeTrustAsset): AssetId | undefined {
  switch (asset.type) {
    case 'assetTypeNative':
      return 'native';
    case 'assetTypeCreditAlphanum4':
      return `${assetCode(asset.alphaNum4.assetCode.value)}:${accountId(asset.alphaNum4.issuer)}`;
    case 'assetTypeCreditAlphanum12':
      return `${assetCode(asset.alphaNum12.assetCode.value)}:${accountId(asset.alphaNum12.issuer)}`;
    default:
      return undefined;
  }
}

/** Code and issuer of a credit asset; undefined for native. */
export function creditOf(asset: AssetId): { code: string; issuer: string } | undefined {
  const colon = asset.indexOf(':');
  return colon < 0 ? undefined : { code: asset.slice(0, colon), issuer: asset.slice(colon + 1) };
}

/** The SDK's asset for an id. */
export function sdkAsset(asset: AssetId): Asset {
  const credit = creditOf(asset);
  return credit === undefined ? Asset.native() : new Asset(credit.code, credit.issuer);
}

/** A credit asset's code is 1–12 alphanumeric characters, zero-padded at the end only. */
export function validAsset(asset: AssetId): boolean {
  const credit = creditOf(asset);
  return credit === undefined || /^[a-zA-Z0-9]{1,12}$/.test(credit.code);
}

const publicKeys = new Map<string, xdr.PublicKey>();

/** XDR public key of a `G…` address. */
export function publicKey(id: string): xdr.PublicKey {
  const known = publicKeys.get(id);
  if (known !== undefined) return known;
  const key = xdr.PublicKey.publicKeyTypeEd25519(StrKey.decodeEd25519PublicKey(id));
  publicKeys.set(id, key);
  return key;
}

export function accountKey(id: string): xdr.LedgerKey {
  return xdr.LedgerKey.account(new xdr.LedgerKeyAccount({ accountId: publicKey(id) }));
}

export function trustlineKey(account: string, asset: AssetId): xdr.LedgerKey {
  return xdr.LedgerKey.trustline(
    new xdr.LedgerKeyTrustLine({ accountId: publicKey(account), asset: sdkAsset(asset).toTrustLineXdrObject() }),
  );
}

/** `key` is the base64 ScVal of the entry. */
export function contractDataKey(contract: string, key: string, durability: 'persistent' | 'temporary'): xdr.LedgerKey {
  return xdr.LedgerKey.contractData(
    new xdr.LedgerKeyContractData({
      contract: new Address(contract).toScAddress(),
      key: xdr.ScVal.fromXdr(key, 'base64'),
      durability: xdr.ContractDataDurability[durability],
    }),
  );
}
