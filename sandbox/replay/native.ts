/** The recorded files' plain JSON form of ScVals, in both directions. */
import { Buffer } from 'node:buffer';
import { Address, xdr } from '@stellar/stellar-sdk/base';
import { i128, symbol } from '../contracts/scval.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** ScVal → JSON: integers above 32 bits as decimal text, addresses by name, bytes as 0x…, structs as objects. */
export function toNative(value: xdr.ScVal, nameOf: (address: string) => string): Json {
  switch (value.type) {
    case 'scvVoid':
      return null;
    case 'scvBool':
      return value.b;
    case 'scvU32':
      return value.u32;
    case 'scvI128':
      return i128.decode(value).toString();
    case 'scvString':
      return Buffer.from(value.str.bytes).toString('utf8');
    case 'scvSymbol':
      return Buffer.from(value.sym.bytes).toString('utf8');
    case 'scvBytes':
      return `0x${Buffer.from(value.bytes.value).toString('hex')}`;
    case 'scvAddress':
      return nameOf(Address.fromScAddress(value.address).toString());
    case 'scvVec':
      return (value.vec ?? []).map((item) => toNative(item, nameOf));
    case 'scvMap':
      return Object.fromEntries(
        (value.map ?? []).map(({ key, val }) => [String(toNative(key, nameOf)), toNative(val, nameOf)]),
      );
    default:
      return value.type;
  }
}

type Lookup = (name: string) => string;

const TEXT_FIELDS = new Set(['description', 'engagement_id', 'title', 'status', 'evidence']);

const addressValue = (text: string, lookup: Lookup): xdr.ScVal =>
  xdr.ScVal.scvAddress(new Address(text.startsWith('@') ? lookup(text) : text).toScAddress());

/** A struct or a part of one; the field's name decides what a text is. */
export function structValue(value: Json, lookup: Lookup, field = ''): xdr.ScVal {
  if (value === null) return xdr.ScVal.scvVoid();
  if (typeof value === 'boolean') return xdr.ScVal.scvBool(value);
  if (typeof value === 'number') return xdr.ScVal.scvU32(value);
  if (typeof value === 'string') {
    if (field === 'amount') return i128.encode(BigInt(value));
    return TEXT_FIELDS.has(field) ? xdr.ScVal.scvString(value) : addressValue(value, lookup);
  }
  if (isList(value)) return xdr.ScVal.scvVec(value.map((item) => structValue(item, lookup, field)));
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return xdr.ScVal.scvMap(
    entries.map(
      ([key, inner]) => new xdr.ScMapEntry({ key: symbol.encode(key), val: structValue(inner, lookup, key) }),
    ),
  );
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

/** Address → amount, in the host's order: by the XDR of the key. */
function distributionValue(value: Json, lookup: Lookup): xdr.ScVal {
  const entries = Object.entries(value as { [key: string]: string }).map(([holder, amount]) => ({
    key: addressValue(holder, lookup),
    val: i128.encode(BigInt(amount)),
  }));
  entries.sort((a, b) => Buffer.compare(a.key.toXdr(), b.key.toXdr()));
  return xdr.ScVal.scvMap(entries.map((entry) => new xdr.ScMapEntry(entry)));
}

type ArgumentType = 'address' | 'u32' | 'i128' | 'string' | 'option' | 'map' | 'struct' | 'escrow' | 'bytes' | 'symbol';

const ABI: Readonly<Record<string, readonly ArgumentType[]>> = {
  initialize_escrow: ['escrow'],
  fund_escrow: ['address', 'escrow', 'i128'],
  release_funds: ['address'],
  release_milestone_funds: ['address', 'u32'],
  update_escrow: ['address', 'escrow'],
  get_escrow: [],
  get_escrow_by_contract_id: ['address'],
  get_multiple_escrow_balances: ['struct'],
  approve_milestone: ['u32', 'address'],
  dispute_escrow: ['address'],
  dispute_milestone: ['u32', 'address'],
  resolve_dispute: ['address', 'map'],
  resolve_milestone_dispute: ['address', 'u32', 'map'],
  withdraw_remaining_funds: ['address', 'map'],
  extend_contract_ttl: ['address', 'u32'],
  transfer: ['address', 'address', 'i128'],
};

/** Both kinds have this function, with different arguments. */
const statusTypes = (args: readonly Json[]): readonly ArgumentType[] =>
  args.length === 2 ? ['struct', 'address'] : ['u32', 'string', 'option', 'address'];

function patchedEscrow(value: Json, stored: xdr.ScVal | undefined, lookup: Lookup): xdr.ScVal {
  if (value === null || typeof value !== 'object' || isList(value) || !('$stored' in value))
    return structValue(value, lookup);
  if (stored?.type !== 'scvMap') throw new Error('nothing stored to patch');
  const changes = (value['set'] ?? {}) as { [key: string]: Json };
  return xdr.ScVal.scvMap(
    (stored.map ?? []).map((entry) => {
      const name = symbol.decode(entry.key);
      return name in changes
        ? new xdr.ScMapEntry({ key: entry.key, val: structValue(changes[name] ?? null, lookup, name) })
        : entry;
    }),
  );
}

/** The call's arguments from their JSON form; an escrow may be a patch on the stored one. */
export function callArguments(
  fn: string,
  args: readonly Json[],
  lookup: Lookup,
  stored: xdr.ScVal | undefined,
): xdr.ScVal[] {
  const types = fn === 'change_milestone_status' ? statusTypes(args) : ABI[fn];
  if (types?.length !== args.length) throw new Error(`cannot build arguments of ${fn}`);
  return args.map((value, index) => {
    switch (types[index]) {
      case 'i128':
        return i128.encode(BigInt(String(value)));
      case 'string':
        return xdr.ScVal.scvString(String(value));
      case 'option':
        return value === null ? xdr.ScVal.scvVoid() : xdr.ScVal.scvString(String(value));
      case 'map':
        return distributionValue(value, lookup);
      case 'escrow':
        return patchedEscrow(value, stored, lookup);
      default:
        return structValue(value, lookup);
    }
  });
}
