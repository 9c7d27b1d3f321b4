/**
 * Typed conversion between ScVals and the values the contract models work with.
 *
 * | contract type | here |
 * |---|---|
 * | address | strkey text (`G…`, `C…`, `M…`) |
 * | string, symbol | text of one character per byte, so that bytes that are no UTF-8 survive a round trip |
 * | i128 | bigint · u32: number · option: null when absent · struct: record with the declared fields |
 *
 * A value of the wrong type fails as the deployed contract does: decoding traps inside the VM.
 */
import { Buffer } from 'node:buffer';
import { Address, xdr } from '@stellar/stellar-sdk/base';
import { type HostError, hostError } from './errors.ts';

export interface Codec<T> {
  decode(value: xdr.ScVal): T;
  encode(value: T): xdr.ScVal;
}

/** The value type of a codec. */
export type Of<C> = C extends Codec<infer T> ? T : never;

const trap = (): HostError => hostError('WasmVm', 'InvalidAction');
const LOW = (1n << 64n) - 1n;

const binaryText = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const binaryBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

export const val: Codec<xdr.ScVal> = { decode: (value) => value, encode: (value) => value };

export const bool: Codec<boolean> = {
  decode(value) {
    if (value.type !== 'scvBool') throw trap();
    return value.b;
  },
  encode: (value) => xdr.ScVal.scvBool(value),
};

export const u32: Codec<number> = {
  decode(value) {
    if (value.type !== 'scvU32') throw trap();
    return value.u32;
  },
  encode: (value) => xdr.ScVal.scvU32(value),
};

export const i128: Codec<bigint> = {
  decode(value) {
    if (value.type !== 'scvI128') throw trap();
    return (BigInt(value.i128.hi) << 64n) | BigInt(value.i128.lo);
  },
  encode: (value) => xdr.ScVal.scvI128(new xdr.Int128Parts({ hi: BigInt.asIntN(64, value >> 64n), lo: value & LOW })),
};

export const string: Codec<string> = {
  decode(value) {
    if (value.type !== 'scvString') throw trap();
    return binaryText(value.str.bytes);
  },
  encode: (value) => xdr.ScVal.scvString(binaryBytes(value)),
};

export const symbol: Codec<string> = {
  decode(value) {
    if (value.type !== 'scvSymbol') throw trap();
    return binaryText(value.sym.bytes);
  },
  encode: (value) => xdr.ScVal.scvSymbol(binaryBytes(value)),
};

/** Addresses come in the thousands, but few different ones: strkeys are computed once. */
const CACHED = 10_000;
const strkeys = new Map<string, string>();
const addressValues = new Map<string, xdr.ScVal>();

function cached<T>(cache: Map<string, T>, key: string, compute: () => T): T {
  const known = cache.get(key);
  if (known !== undefined) return known;
  if (cache.size >= CACHED) cache.clear();
  const value = compute();
  cache.set(key, value);
  return value;
}

/** Account or contract. */
export const address: Codec<string> = {
  decode(value) {
    const content = value.type === 'scvAddress' ? value.address : undefined;
    const compute = () => (content === undefined ? '' : Address.fromScAddress(content).toString());
    if (content?.type === 'scAddressTypeAccount') {
      return cached(strkeys, `G${binaryText(content.accountId.value.value)}`, compute);
    }
    if (content?.type === 'scAddressTypeContract') {
      return cached(strkeys, `C${binaryText(content.contractId.value)}`, compute);
    }
    throw trap();
  },
  encode: (value) => cached(addressValues, value, () => xdr.ScVal.scvAddress(new Address(value).toScAddress())),
};

/** Who can be paid: also an account with an id of its holder's own (`M…`). */
export const payee: Codec<string> = {
  decode: (value) =>
    value.type === 'scvAddress' && value.address.type === 'scAddressTypeMuxedAccount'
      ? Address.fromScAddress(value.address).toString()
      : address.decode(value),
  encode: address.encode,
};

/** Exactly `length` bytes. */
export function bytes(length: number): Codec<Uint8Array> {
  return {
    decode(value) {
      if (value.type !== 'scvBytes') throw trap();
      if (value.bytes.value.length !== length) throw trap();
      return value.bytes.value;
    },
    encode: (value) => xdr.ScVal.scvBytes(value),
  };
}

export function option<T>(inner: Codec<T>): Codec<T | null> {
  return {
    decode: (value) => (value.type === 'scvVoid' ? null : inner.decode(value)),
    encode: (value) => (value === null ? xdr.ScVal.scvVoid() : inner.encode(value)),
  };
}

export function vec<T>(inner: Codec<T>): Codec<T[]> {
  return {
    decode(value) {
      if (value.type !== 'scvVec' || value.vec === null) throw trap();
      return value.vec.map((item) => inner.decode(item));
    },
    encode: (value) => xdr.ScVal.scvVec(value.map((item) => inner.encode(item))),
  };
}

/** Map keyed by address, in the host's order of keys. */
export const distributionMap: Codec<[address: string, amount: bigint][]> = {
  decode(value) {
    if (value.type !== 'scvMap' || value.map === null) throw trap();
    return value.map.map((entry) => [address.decode(entry.key), i128.decode(entry.val)]);
  },
  encode: (value) =>
    xdr.ScVal.scvMap(
      value.map(([key, amount]) => new xdr.ScMapEntry({ key: address.encode(key), val: i128.encode(amount) })),
    ),
};

/** A contract struct: a map whose keys are exactly the declared fields, as symbols in ascending order. */
export function struct<T extends Record<string, unknown>>(fields: { readonly [K in keyof T]: Codec<T[K]> }): Codec<T> {
  const names = Object.keys(fields).sort() as (keyof T & string)[];
  return {
    decode(value) {
      if (value.type !== 'scvMap' || value.map === null) throw trap();
      const { map } = value;
      if (map.length !== names.length) throw hostError('Object', 'UnexpectedSize');
      const decoded: Partial<T> = {};
      names.forEach((name, index) => {
        const key = map[index]?.key;
        if (key?.type !== 'scvSymbol') throw hostError('Value', 'UnexpectedType');
        if (binaryText(key.sym.bytes) !== name) throw hostError('Value', 'InvalidInput');
      });
      names.forEach((name, index) => {
        const entry = map[index];
        if (entry !== undefined) decoded[name] = fields[name].decode(entry.val);
      });
      return decoded as T;
    },
    encode: (value) =>
      xdr.ScVal.scvMap(
        names.map((name) => new xdr.ScMapEntry({ key: symbol.encode(name), val: fields[name].encode(value[name]) })),
      ),
  };
}

/**
 * Refuses what the host cannot turn into objects: a map whose keys are not strictly ascending.
 * @throws HostError(Object, InvalidInput)
 */
export function assertHostValue(value: xdr.ScVal): void {
  if (value.type === 'scvVec') {
    if (value.vec === null) throw hostError('Value', 'InvalidInput');
    value.vec.forEach(assertHostValue);
  }
  if (value.type !== 'scvMap') return;
  if (value.map === null) throw hostError('Value', 'InvalidInput');
  value.map.forEach((entry, index, map) => {
    const before = map[index - 1];
    if (before !== undefined && compareKeys(before.key, entry.key) >= 0) throw hostError('Object', 'InvalidInput');
    assertHostValue(entry.key);
    assertHostValue(entry.val);
  });
}

/** Host order of map keys: by type, texts by content, numbers by value, everything else (addresses) by XDR bytes. */
function compareKeys(a: xdr.ScVal, b: xdr.ScVal): number {
  if (a.type === 'scvSymbol' && b.type === 'scvSymbol') return Buffer.compare(a.sym.bytes, b.sym.bytes);
  if (a.type === 'scvString' && b.type === 'scvString') return Buffer.compare(a.str.bytes, b.str.bytes);
  if (a.type === 'scvI128' && b.type === 'scvI128') {
    const difference = i128.decode(a) - i128.decode(b);
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }
  return Buffer.compare(a.toXdr(), b.toXdr());
}
