/** The few ScVal forms that the escrow contracts' arguments take, in the order the host demands. */
import { Address, nativeToScVal, xdr } from '@stellar/stellar-sdk/base';

export const text = (value: string): xdr.ScVal => xdr.ScVal.scvString(value);
export const symbol = (value: string): xdr.ScVal => xdr.ScVal.scvSymbol(value);
export const flag = (value: boolean): xdr.ScVal => xdr.ScVal.scvBool(value);
export const u32 = (value: number): xdr.ScVal => xdr.ScVal.scvU32(value);
export const i128 = (value: bigint): xdr.ScVal => nativeToScVal(value, { type: 'i128' });
export const bytes = (value: Uint8Array): xdr.ScVal => xdr.ScVal.scvBytes(value);
export const list = (values: xdr.ScVal[]): xdr.ScVal => xdr.ScVal.scvVec(values);
export const address = (value: string): xdr.ScVal => new Address(value).toScVal();
export const nothing = (): xdr.ScVal => xdr.ScVal.scvVoid();

/** A contract struct: a map with symbol keys in ascending order. */
export function struct(fields: Readonly<Record<string, xdr.ScVal>>): xdr.ScVal {
  const entries = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return xdr.ScVal.scvMap(entries.map(([key, val]) => new xdr.ScMapEntry({ key: symbol(key), val })));
}

/** `Map<Address, i128>`; the host orders keys by their XDR bytes, not by strkey text, and refuses any other order. */
export function shares(entries: readonly { readonly address: string; readonly amount: bigint }[]): xdr.ScVal {
  const sorted = entries
    .map((entry) => new xdr.ScMapEntry({ key: address(entry.address), val: i128(entry.amount) }))
    .sort((a, b) => Buffer.compare(a.key.toXdr(), b.key.toXdr()));
  return xdr.ScVal.scvMap(sorted);
}
