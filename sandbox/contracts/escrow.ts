/** What the single- and the multi-release escrow contract share: token calls, stored state, fees, queries. */
import { xdr } from '@stellar/stellar-sdk/base';
import { isDeepStrictEqual } from 'node:util';
import type { ContractFunction, Env, Program } from './env.ts';
import { type ErrorTable, HostError } from './errors.ts';
import { fn } from './fn.ts';
import { address, bytes, type Codec, i128, string, struct, symbol, u32, val, vec } from './scval.ts';

/** Storage key of the escrow struct: the enum case `["Escrow"]`. */
export const ESCROW_KEY = xdr.ScVal.scvVec([symbol.encode('Escrow')]).toXdr('base64');

/** Wallet of the protocol fee: compiled into the mainnet builds, an argument of the testnet line's calls. */
export const MAINNET_FEE_WALLET = 'GBWWSOATPLIC72ZBOIM7WJCT7VCAHNWW4QUBZ2H4FORMCCIUM5ZVKSZN';

export const PROTOCOL_FEE_BPS = 30n;
export const MAX_MILESTONES = 50;
export const MAX_DISTRIBUTIONS = 50;
const MAX_PLATFORM_FEE_BPS = 9_900;
const MAX_BALANCES = 20;
const TTL_THRESHOLD = 17_280;
const TTL_EXTENSION = 31_536_000;
const I128_MAX = (1n << 127n) - 1n;

const VOID = xdr.ScVal.scvVoid();

/** Raises one of a build's numbered errors. */
type Fail = (name: string) => HostError;

export function failWith(table: ErrorTable): Fail {
  return (name) => {
    const code = table[name];
    if (code === undefined) throw new Error(`no such contract error: ${name}`);
    return new HostError({ type: 'Contract', code, name });
  };
}

export const trustline = struct<{ address: string }>({ address });

/** Stored escrow of either kind: what the shared functions need of it. */
interface EscrowState {
  engagement_id: string;
  platform_fee: number;
  roles: { platform: string; dispute_resolver: string };
  trustline: { address: string };
}

/** One build of one contract kind. */
interface Kit<E extends EscrowState> {
  readonly codec: Codec<E>;
  readonly fail: Fail;
  load(env: Env): E;
  /** Writes the state and keeps it alive. */
  save(env: Env, escrow: E): void;
  /** Publishes `tw_…` with the data the contract's event macro gives it: a vec of its fields. */
  emit(env: Env, name: string, ...fields: xdr.ScVal[]): void;
}

export function kitOf<E extends EscrowState>(codec: Codec<E>, fail: Fail): Kit<E> {
  return {
    codec,
    fail,
    load(env) {
      const stored = env.storage.get(ESCROW_KEY);
      if (stored === undefined) throw fail('EscrowNotFound');
      return codec.decode(stored);
    },
    save(env, escrow) {
      env.storage.set(ESCROW_KEY, codec.encode(escrow));
      env.storage.extendTtl(ESCROW_KEY, TTL_THRESHOLD, TTL_EXTENSION);
    },
    emit: (env, name, ...fields) => env.emit([symbol.encode(name)], xdr.ScVal.scvVec(fields)),
  };
}

export const tokenBalance = (env: Env, escrow: EscrowState, holder: string): bigint =>
  i128.decode(env.call(escrow.trustline.address, 'balance', [address.encode(holder)]));

export const transfer = (env: Env, escrow: EscrowState, from: string, to: string, amount: bigint): void => {
  env.call(escrow.trustline.address, 'transfer', [address.encode(from), address.encode(to), i128.encode(amount)]);
};

/** Fees so small that they round to zero are not transferred at all, so they need no trustline. */
export function pay(env: Env, escrow: EscrowState, to: string, amount: bigint): void {
  if (amount > 0n) transfer(env, escrow, env.self, to, amount);
}

function multiply(a: bigint, b: bigint, fail: Fail): bigint {
  const product = a * b;
  if (product > I128_MAX || product < -I128_MAX - 1n) throw fail('Overflow');
  return product;
}

/** Protocol and platform fee on `amount`, each rounded down. */
function feesOn(amount: bigint, platformFee: number, fail: Fail): { protocol: bigint; platform: bigint } {
  const protocol = multiply(amount, PROTOCOL_FEE_BPS, fail) / 10_000n;
  const platform = multiply(amount, BigInt(platformFee), fail) / 10_000n;
  return { protocol, platform };
}

/** Pays `amount` out: protocol fee, platform fee, and the rest to the receiver. */
export function payOut(env: Env, escrow: EscrowState, amount: bigint, to: string, wallet: string, fail: Fail): void {
  const { protocol, platform } = feesOn(amount, escrow.platform_fee, fail);
  pay(env, escrow, wallet, protocol);
  pay(env, escrow, escrow.roles.platform, platform);
  pay(env, escrow, to, amount - protocol - platform);
}

export type Distribution = [address: string, amount: bigint];

/** Sum of a distribution. Runs before any other check of its call. */
export function sumOf(distributions: readonly Distribution[], fail: Fail): bigint {
  let total = 0n;
  for (const [, amount] of distributions) {
    if (amount <= 0n) throw fail('AmountsToBeTransferredShouldBePositive');
    total += amount;
    if (total > I128_MAX) throw fail('Overflow');
  }
  return total;
}

/** Pays a distribution out. Fees are rounded down per recipient, so that exactly `total` leaves the escrow. */
export function distribute(
  env: Env,
  escrow: EscrowState,
  distributions: readonly Distribution[],
  total: bigint,
  wallet: string,
  fail: Fail,
): void {
  const fees = feesOn(total, escrow.platform_fee, fail);
  const parts = distributions.map(([to, amount]) => {
    const protocol = multiply(amount, fees.protocol, fail) / total;
    const platform = multiply(amount, fees.platform, fail) / total;
    return { to, protocol, platform, net: amount - protocol - platform };
  });
  const sum = (key: 'protocol' | 'platform') => parts.reduce((all, part) => all + part[key], 0n);
  pay(env, escrow, wallet, sum('protocol'));
  pay(env, escrow, escrow.roles.platform, sum('platform'));
  for (const { to, net } of parts) pay(env, escrow, to, net);
}

export function assertPlatformFee(fee: number, fail: Fail): void {
  if (fee > MAX_PLATFORM_FEE_BPS || BigInt(fee) + PROTOCOL_FEE_BPS > 10_000n) throw fail('PlatformFeeTooHigh');
}

/** Whether all fields but the named ones are equal. */
export function sameBut<E extends object>(a: E, b: E, ...ignored: (keyof E)[]): boolean {
  return (Object.keys(a) as (keyof E)[]).every((key) => ignored.includes(key) || isDeepStrictEqual(a[key], b[key]));
}

/** Checks of `fund_escrow`, then the transfer. The signer's balance is read before anything is checked. */
function fund<E extends EscrowState>(kit: Kit<E>): ContractFunction {
  return fn([address, kit.codec, i128], (env, signer, expected, amount) => {
    const stored = kit.load(env);
    const balance = tokenBalance(env, stored, signer);
    if (amount <= 0n) throw kit.fail('AmountCannotBeZero');
    if (!isDeepStrictEqual(stored, expected)) throw kit.fail('EscrowPropertiesMismatch');
    if (balance < amount) throw kit.fail('InsufficientFundsForEscrowFunding');
    env.requireAuth(signer);
    transfer(env, stored, signer, env.self, amount);
    kit.emit(env, 'tw_fund', address.encode(signer), i128.encode(amount));
    return VOID;
  });
}

/** Anybody can deploy an escrow through a contract that holds none itself. */
function deploy<E extends EscrowState>(kit: Kit<E>): ContractFunction {
  const arguments_ = [address, bytes(32), bytes(32), symbol, vec(val), vec(val)] as const;
  return fn([...arguments_], (env, signer, wasmHash, salt, initFunction, initArguments, constructorArguments) => {
    if (env.storage.get(ESCROW_KEY) !== undefined) throw kit.fail('EscrowAlreadyInitialized');
    env.requireAuth(signer);
    const deployed = env.deploy(wasmHash, salt, constructorArguments);
    return xdr.ScVal.scvVec([address.encode(deployed), env.call(deployed, initFunction, initArguments)]);
  });
}

/** Balances of up to twenty escrows; its own is read without a call, a contract cannot call itself. */
function balances<E extends EscrowState>(kit: Kit<E>): ContractFunction {
  const row = struct<{ address: string; balance: bigint; trustline_decimals: number }>({
    address,
    balance: i128,
    trustline_decimals: u32,
  });
  return fn([vec(address)], (env, addresses) => {
    if (addresses.length > MAX_BALANCES) throw kit.fail('TooManyEscrowsRequested');
    const rows = addresses.map((holder) => {
      const escrow = holder === env.self ? kit.load(env) : kit.codec.decode(env.call(holder, 'get_escrow', []));
      const balance = tokenBalance(env, escrow, holder);
      return {
        address: holder,
        balance,
        trustline_decimals: u32.decode(env.call(escrow.trustline.address, 'decimals', [])),
      };
    });
    return vec(row).encode(rows);
  });
}

function extendTtl<E extends EscrowState>(kit: Kit<E>, authFirst: boolean): ContractFunction {
  return fn([address, u32], (env, platform, ledgers) => {
    if (authFirst) env.requireAuth(platform);
    if (platform !== kit.load(env).roles.platform) throw kit.fail('OnlyPlatformAddressExecuteThisFunction');
    env.requireAuth(platform);
    env.storage.extendTtl(ESCROW_KEY, TTL_THRESHOLD, ledgers);
    kit.emit(env, 'tw_ttl_extend', address.encode(platform), u32.encode(ledgers));
    return VOID;
  });
}

/**
 * Functions that both contracts have.
 * @param checks what an update must satisfy, given the stored escrow, the new one, the caller and the escrow's balance
 */
export function commonFunctions<E extends EscrowState>(
  kit: Kit<E>,
  options: {
    readonly deployFunction: string;
    readonly extendAuthFirst: boolean;
    checkInit(env: Env, escrow: E): void;
    checkUpdate(stored: E, updated: E, caller: string, balance: bigint): void;
  },
): Program {
  return {
    [options.deployFunction]: deploy(kit),
    initialize_escrow: fn([kit.codec], (env, escrow) => {
      options.checkInit(env, escrow);
      kit.save(env, escrow);
      kit.emit(env, 'tw_init', kit.codec.encode(escrow));
      return kit.codec.encode(escrow);
    }),
    fund_escrow: fund(kit),
    update_escrow: fn([address, kit.codec], (env, caller, updated) => {
      const stored = kit.load(env);
      options.checkUpdate(stored, updated, caller, tokenBalance(env, stored, env.self));
      env.requireAuth(caller);
      kit.save(env, updated);
      const encoded = kit.codec.encode(updated);
      kit.emit(env, 'tw_update', address.encode(caller), string.encode(updated.engagement_id), encoded);
      return encoded;
    }),
    get_escrow: fn([], (env) => kit.codec.encode(kit.load(env))),
    get_escrow_by_contract_id: fn([address], (env, contract) => {
      const escrow = env.call(contract, 'get_escrow', []);
      return kit.codec.encode(kit.codec.decode(escrow));
    }),
    get_multiple_escrow_balances: balances(kit),
    extend_contract_ttl: extendTtl(kit, options.extendAuthFirst),
  };
}
