/**
 * The Stellar Asset Contract of one asset. Balances of accounts are their trustlines (XLM: the account itself), balances
 * of contracts are data of this contract; the issuer holds, sends and takes without limit.
 */
import { Asset, StrKey, xdr } from '@stellar/stellar-sdk/base';
import type { AssetId } from '../core/types.ts';
import type { Env, Program } from './env.ts';
import { HostError, SAC_ERRORS } from './errors.ts';
import { fn } from './fn.ts';
import { address, bool, i128, payee, string, struct, symbol, u32 } from './scval.ts';

const AUTHORIZED = 1;
const CLAWBACK_ENABLED = 4;
/** account flags of an issuer */
const AUTH_REQUIRED = 1;
const AUTH_CLAWBACK = 8;
const I64_MAX = 9_223_372_036_854_775_807n;
const I128_MAX = (1n << 127n) - 1n;
const DECIMALS = 7;

const contractBalance = struct<{ amount: bigint; authorized: boolean; clawback: boolean }>({
  amount: i128,
  authorized: bool,
  clawback: bool,
});

const fail = (name: keyof typeof SAC_ERRORS): HostError =>
  new HostError({ type: 'Contract', code: SAC_ERRORS[name], name });

/** Storage key of a contract's balance. */
export const balanceKey = (holder: string): string =>
  xdr.ScVal.scvVec([symbol.encode('Balance'), address.encode(holder)]).toXdr('base64');

interface Token {
  readonly asset: AssetId;
  /** null for XLM */
  readonly issuer: string | null;
  readonly code: string;
}

function tokenOf(asset: AssetId): Token {
  const [code = '', issuer] = asset.split(':');
  return { asset, issuer: issuer ?? null, code: issuer === undefined ? 'native' : code };
}

/** Address of the asset's contract on a network. */
export function sacId(passphrase: string, asset: AssetId): string {
  const { code, issuer } = tokenOf(asset);
  return (issuer === null ? Asset.native() : new Asset(code, issuer)).contractId(passphrase);
}

const isAccount = (holder: string): boolean => StrKey.isValidEd25519PublicKey(holder);

function trustlineOf(env: Env, token: Token, holder: string) {
  const line = env.view.trustline(holder, token.asset);
  if (line === undefined) throw fail('TrustlineMissingError');
  return line;
}

function accountOf(env: Env, holder: string) {
  const account = env.view.account(holder);
  if (account === undefined) throw fail('AccountMissingError');
  return account;
}

function readContractBalance(env: Env, holder: string) {
  const stored = env.storage.get(balanceKey(holder));
  return stored === undefined ? undefined : contractBalance.decode(stored);
}

const issuerFlag = (env: Env, token: Token, flag: number): boolean =>
  token.issuer !== null && ((env.view.account(token.issuer)?.flags ?? 0) & flag) !== 0;

function isAuthorized(env: Env, token: Token, holder: string): boolean {
  if (!isAccount(holder)) return readContractBalance(env, holder)?.authorized ?? !issuerFlag(env, token, AUTH_REQUIRED);
  if (token.issuer === null || holder === token.issuer) return true;
  return (trustlineOf(env, token, holder).flags & AUTHORIZED) !== 0;
}

function balanceOf(env: Env, token: Token, holder: string): bigint {
  if (!isAccount(holder)) return readContractBalance(env, holder)?.amount ?? 0n;
  if (token.issuer === null) return accountOf(env, holder).balance;
  return holder === token.issuer ? I64_MAX : trustlineOf(env, token, holder).balance;
}

/** Changes an account's balance within its limits: reserve or trustline. */
function moveAccountBalance(env: Env, token: Token, holder: string, delta: bigint): void {
  if (delta > I64_MAX || delta < -I64_MAX) throw fail('OverflowError');
  if (holder === token.issuer) return;
  if (token.issuer === null) {
    const account = accountOf(env, holder);
    const reserved = BigInt(2 + account.subentries + account.sponsoring - account.sponsored) * env.view.baseReserve;
    account.balance += delta;
    if (account.balance > I64_MAX || (delta < 0n && account.balance < reserved)) throw fail('BalanceError');
    env.view.putAccount(account);
    return;
  }
  const line = trustlineOf(env, token, holder);
  line.balance += delta;
  if (line.balance < 0n || line.balance > line.limit) throw fail('BalanceError');
  env.view.putTrustline(line);
}

function take(env: Env, token: Token, holder: string, amount: bigint): void {
  if (isAccount(holder)) return moveAccountBalance(env, token, holder, -amount);
  const balance = readContractBalance(env, holder);
  if ((balance?.amount ?? 0n) < amount) throw fail('BalanceError');
  if (balance !== undefined) writeContractBalance(env, holder, { ...balance, amount: balance.amount - amount });
}

function spend(env: Env, token: Token, holder: string, amount: bigint): void {
  if (!isAuthorized(env, token, holder)) throw fail('BalanceDeauthorizedError');
  take(env, token, holder, amount);
}

function receive(env: Env, token: Token, holder: string, amount: bigint): void {
  if (!isAuthorized(env, token, holder)) throw fail('BalanceDeauthorizedError');
  if (isAccount(holder)) return moveAccountBalance(env, token, holder, amount);
  const balance = readContractBalance(env, holder) ?? {
    amount: 0n,
    authorized: true,
    clawback: issuerFlag(env, token, AUTH_CLAWBACK),
  };
  if (balance.amount + amount > I128_MAX) throw fail('BalanceError');
  writeContractBalance(env, holder, { ...balance, amount: balance.amount + amount });
}

function writeContractBalance(
  env: Env,
  holder: string,
  balance: { amount: bigint; authorized: boolean; clawback: boolean },
) {
  env.storage.set(balanceKey(holder), contractBalance.encode(balance));
}

const assertAmount = (amount: bigint): void => {
  if (amount < 0n) throw fail('NegativeAmountError');
};

const VOID = xdr.ScVal.scvVoid();

function emit(env: Env, token: Token, name: string, parties: string[], data: xdr.ScVal): void {
  env.emit([symbol.encode(name), ...parties.map(address.encode), string.encode(token.asset)], data);
}

/** A transfer that involves the issuer creates or destroys units, and is shown so. */
function emitTransfer(env: Env, token: Token, from: string, to: string, data: xdr.ScVal): void {
  const minted = from === token.issuer;
  const burned = to === token.issuer;
  if (minted && !burned) emit(env, token, 'mint', [to], data);
  else if (burned && !minted) emit(env, token, 'burn', [from], data);
  else emit(env, token, 'transfer', [from, to], data);
}

/** Splits a muxed receiver into its account and the event data that keeps its id. */
function receiver(to: string, amount: bigint): { account: string; data: xdr.ScVal } {
  if (!StrKey.isValidMed25519PublicKey(to)) return { account: to, data: i128.encode(amount) };
  const raw = StrKey.decodeMed25519PublicKey(to);
  const id = new DataView(raw.buffer, raw.byteOffset).getBigUint64(32);
  const entry = (key: string, val: xdr.ScVal) => new xdr.ScMapEntry({ key: symbol.encode(key), val });
  return {
    account: StrKey.encodeEd25519PublicKey(raw.subarray(0, 32)),
    data: xdr.ScVal.scvMap([entry('amount', i128.encode(amount)), entry('to_muxed_id', xdr.ScVal.scvU64(id))]),
  };
}

const adminOf = (token: Token): string => {
  if (token.issuer === null) throw fail('OperationNotSupportedError');
  return token.issuer;
};

const reads = (token: Token): Program => ({
  decimals: fn([], () => u32.encode(DECIMALS)),
  name: fn([], () => string.encode(token.asset)),
  symbol: fn([], () => string.encode(token.code)),
  admin: fn([], () => address.encode(adminOf(token))),
  balance: fn([address], (env, holder) => i128.encode(balanceOf(env, token, holder))),
  authorized: fn([address], (env, holder) => bool.encode(isAuthorized(env, token, holder))),
});

const moves = (token: Token): Program => ({
  transfer: fn([address, payee, i128], (env, from, to, amount) => {
    assertAmount(amount);
    env.requireAuth(from);
    const { account, data } = receiver(to, amount);
    spend(env, token, from, amount);
    receive(env, token, account, amount);
    emitTransfer(env, token, from, account, data);
    return VOID;
  }),
  burn: fn([address, i128], (env, from, amount) => {
    assertAmount(amount);
    env.requireAuth(from);
    adminOf(token);
    spend(env, token, from, amount);
    emit(env, token, 'burn', [from], i128.encode(amount));
    return VOID;
  }),
  mint: fn([address, i128], (env, to, amount) => {
    assertAmount(amount);
    env.requireAuth(adminOf(token));
    receive(env, token, to, amount);
    emit(env, token, 'mint', [to], i128.encode(amount));
    return VOID;
  }),
  clawback: fn([address, i128], (env, from, amount) => {
    assertAmount(amount);
    const admin = adminOf(token);
    const allowed = isAccount(from)
      ? (trustlineOf(env, token, from).flags & CLAWBACK_ENABLED) !== 0
      : (readContractBalance(env, from)?.clawback ?? false);
    if (!allowed) throw fail('BalanceError');
    env.requireAuth(admin);
    take(env, token, from, amount);
    emit(env, token, 'clawback', [from], i128.encode(amount));
    return VOID;
  }),
});

const programs = new Map<AssetId, Program>();

/** The contract of `asset`. Allowances and administration are not modelled: the host refuses those calls. */
export function sacProgram(asset: AssetId): Program {
  const known = programs.get(asset);
  if (known !== undefined) return known;
  const token = tokenOf(asset);
  const program = { ...reads(token), ...moves(token) };
  programs.set(asset, program);
  return program;
}
