/** Trustlines: opening, changing and closing them, the issuer's authorisation flags, and clawback. */
import type { xdr } from '@stellar/stellar-sdk/base';
import { accountId, assetId, creditOf, validAsset } from '../keys.ts';
import { failure, type OpContext, type OpOutcome, release, reserve, success } from './context.ts';

type Body<T extends xdr.OperationBody['type']> = Extract<xdr.OperationBody, { type: T }>;

/** Account flags. */
export const AUTH_REQUIRED = 1;
export const AUTH_REVOCABLE = 2;
export const AUTH_IMMUTABLE = 4;
export const AUTH_CLAWBACK = 8;

/** Trustline flags. */
const AUTHORIZED = 1;
const MAINTAIN = 2;
const CLAWBACK = 4;

export function checkChangeTrust({ changeTrustOp: op }: Body<'changeTrust'>, source: string): string | null {
  const asset = assetId(op.line);
  if (asset === undefined || asset === 'native' || !validAsset(asset) || op.limit < 0n) return 'op_malformed';
  return creditOf(asset)?.issuer === source ? 'op_malformed' : null;
}

export function changeTrust(context: OpContext, { changeTrustOp: op }: Body<'changeTrust'>): OpOutcome {
  const { view, source } = context;
  const asset = assetId(op.line) ?? 'native';
  const slot = { owner: source, units: 1, subentry: true };
  const line = view.trustline(source, asset);
  if (line !== undefined) {
    if (op.limit < line.balance) return failure('op_invalid_limit');
    if (op.limit === 0n) {
      view.deleteTrustline(source, asset);
      release(context, slot, line.sponsor);
      return success;
    }
    if (view.account(creditOf(asset)?.issuer ?? '') === undefined) return failure('op_no_issuer');
    view.putTrustline({ ...line, limit: op.limit });
    return success;
  }
  if (op.limit === 0n) return failure('op_invalid_limit');
  const issuer = view.account(creditOf(asset)?.issuer ?? '');
  if (issuer === undefined) return failure('op_no_issuer');
  const reserved = reserve(context, slot);
  if (reserved.failed !== null) return failure(reserved.failed);
  const authorized = (issuer.flags & AUTH_REQUIRED) === 0 ? AUTHORIZED : 0;
  const clawback = (issuer.flags & AUTH_CLAWBACK) === 0 ? 0 : CLAWBACK;
  view.putTrustline({
    account: source,
    asset,
    balance: 0n,
    limit: op.limit,
    flags: authorized | clawback,
    sponsor: reserved.sponsor,
    lastModified: view.sequence,
  });
  return success;
}

export function checkSetTrustLineFlags(body: Body<'setTrustLineFlags'>, source: string): string | null {
  const { asset: line, trustor, setFlags, clearFlags } = body.setTrustLineFlagsOp;
  const asset = assetId(line);
  if (asset === undefined || !validAsset(asset) || creditOf(asset)?.issuer !== source) return 'op_malformed';
  if (accountId(trustor) === source || (setFlags & clearFlags) !== 0) return 'op_malformed';
  const valid = (setFlags & ~(AUTHORIZED | MAINTAIN)) === 0 && (clearFlags & ~(AUTHORIZED | MAINTAIN | CLAWBACK)) === 0;
  return valid && (setFlags & (AUTHORIZED | MAINTAIN)) !== (AUTHORIZED | MAINTAIN) ? null : 'op_malformed';
}

export function setTrustLineFlags(
  { view, source }: OpContext,
  { setTrustLineFlagsOp: op }: Body<'setTrustLineFlags'>,
): OpOutcome {
  const asset = assetId(op.asset) ?? 'native';
  const trustor = accountId(op.trustor);
  const line = view.trustline(trustor, asset);
  if (line === undefined) return failure('op_no_trust');
  const flags = (line.flags & ~op.clearFlags) | op.setFlags;
  if ((flags & AUTHORIZED) !== 0 && (flags & MAINTAIN) !== 0) return failure('op_invalid_state');
  const revocable = ((view.account(source)?.flags ?? 0) & AUTH_REVOCABLE) !== 0;
  const lessThanBefore =
    ((line.flags & AUTHORIZED) !== 0 && (flags & AUTHORIZED) === 0) ||
    ((line.flags & MAINTAIN) !== 0 && (flags & (AUTHORIZED | MAINTAIN)) === 0);
  if (lessThanBefore && !revocable) return failure('op_cant_revoke');
  view.putTrustline({ ...line, flags });
  return success;
}

export function checkClawback({ clawbackOp: op }: Body<'clawback'>, source: string): string | null {
  const asset = assetId(op.asset);
  if (asset === undefined || !validAsset(asset) || creditOf(asset)?.issuer !== source) return 'op_malformed';
  return op.amount > 0n && accountId(op.from) !== source ? null : 'op_malformed';
}

export function clawback({ view }: OpContext, { clawbackOp: op }: Body<'clawback'>): OpOutcome {
  const asset = assetId(op.asset) ?? 'native';
  const from = accountId(op.from);
  const line = view.trustline(from, asset);
  if (line === undefined) return failure('op_no_trust');
  if ((line.flags & CLAWBACK) === 0) return failure('op_not_clawback_enabled');
  if (line.balance < op.amount) return failure('op_underfunded');
  line.balance -= op.amount;
  view.putTrustline(line);
  return { name: 'op_success', changes: [{ asset, type: 'clawback', from, to: null, amount: op.amount }] };
}
