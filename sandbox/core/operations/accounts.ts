/** Operations on account entries: creation, merge, options, data, sequence bumps and the sponsorship sandwich. */
import { StrKey, type xdr } from '@stellar/stellar-sdk/base';
import { accountId } from '../keys.ts';
import { int64 } from '../results.ts';
import type { CoreView } from '../state.ts';
import type { AccountEntry } from '../types.ts';
import { failure, MAX_INT64, type OpContext, type OpOutcome, release, reserve, spendable, success } from './context.ts';
import { AUTH_CLAWBACK, AUTH_IMMUTABLE, AUTH_REQUIRED, AUTH_REVOCABLE } from './trust.ts';

type Body<T extends xdr.OperationBody['type']> = Extract<xdr.OperationBody, { type: T }>;

const MAX_SIGNERS = 20;
const ACCOUNT_FLAGS = AUTH_REQUIRED | AUTH_REVOCABLE | AUTH_IMMUTABLE | AUTH_CLAWBACK;

/** The first sequence number of anything in a ledger: an account starts here. */
function startingSequence(view: { sequence: number }): bigint {
  return BigInt(view.sequence) << 32n;
}

export function newAccount(view: CoreView, id: string, balance: bigint): AccountEntry {
  return {
    id,
    balance,
    sequence: startingSequence(view),
    sequenceLedger: 0,
    sequenceTime: 0,
    subentries: 0,
    sponsoring: 0,
    sponsored: 0,
    sponsor: null,
    flags: 0,
    homeDomain: '',
    thresholds: { master: 1, low: 0, med: 0, high: 0 },
    signers: [],
    data: {},
    lastModified: view.sequence,
  };
}

export function checkCreateAccount({ createAccountOp: op }: Body<'createAccount'>, source: string): string | null {
  return op.startingBalance >= 0n && accountId(op.destination) !== source ? null : 'op_malformed';
}

export function createAccount(context: OpContext, { createAccountOp: op }: Body<'createAccount'>): OpOutcome {
  const { view, source } = context;
  const id = accountId(op.destination);
  if (view.account(id) !== undefined) return failure('op_already_exists');
  view.putAccount(newAccount(view, id, op.startingBalance));
  const reserved = reserve(context, { owner: id, units: 2, subentry: false });
  if (reserved.failed !== null) return failure(reserved.failed);
  const created = view.account(id);
  if (created !== undefined) view.putAccount({ ...created, sponsor: reserved.sponsor });
  const funder = view.account(source);
  if (funder === undefined || spendable(funder, view.baseReserve) < op.startingBalance)
    return failure('op_underfunded');
  funder.balance -= op.startingBalance;
  view.putAccount(funder);
  const amount = op.startingBalance;
  const moved = { asset: 'native', type: 'transfer', from: source, to: id, amount } as const;
  return { name: 'op_success', changes: amount === 0n ? [] : [moved] };
}

export function checkAccountMerge({ destination }: Body<'accountMerge'>, source: string): string | null {
  return accountId(destination) === source ? 'op_malformed' : null;
}

export function accountMerge(context: OpContext, { destination }: Body<'accountMerge'>): OpOutcome {
  const { view, source, sponsorships } = context;
  const into = accountId(destination);
  const account = view.account(source);
  if (account === undefined || view.account(into) === undefined) return failure('op_no_account');
  if ((account.flags & AUTH_IMMUTABLE) !== 0) return failure('op_immutable_set');
  if (account.subentries !== account.signers.length) return failure('op_has_sub_entries');
  if (account.sequence >= startingSequence(view)) return failure('op_seq_num_too_far');
  const inSandwich = sponsorships.has(source) || [...sponsorships.values()].includes(source);
  if (account.sponsoring > 0 || inSandwich) return failure('op_is_sponsor');
  for (const signer of account.signers) release(context, { owner: source, units: 1, subentry: true }, signer.sponsor);
  release(context, { owner: source, units: 2, subentry: false }, account.sponsor);
  const target = view.account(into);
  if (target === undefined || target.balance > MAX_INT64 - account.balance) return failure('op_dest_full');
  view.deleteAccount(source);
  target.balance += account.balance;
  view.putAccount(target);
  const amount = account.balance;
  const changes = [{ asset: 'native', type: 'transfer', from: source, to: into, amount } as const];
  return { name: 'op_success', payload: int64(amount), changes: amount === 0n ? [] : changes };
}

export function checkBumpSequence({ bumpSequenceOp: op }: Body<'bumpSequence'>): string | null {
  return op.bumpTo < 0n ? 'op_bad_seq' : null;
}

export function bumpSequence({ view, source }: OpContext, { bumpSequenceOp: op }: Body<'bumpSequence'>): OpOutcome {
  const account = view.account(source);
  if (account !== undefined && op.bumpTo > account.sequence) {
    const stamp = { sequenceLedger: view.sequence, sequenceTime: view.closeTime };
    view.putAccount({ ...account, sequence: op.bumpTo, ...stamp });
  }
  return success;
}

const dataName = (op: xdr.ManageDataOp): string => Buffer.from(op.dataName.bytes).toString('utf8');

export function checkManageData({ manageDataOp: op }: Body<'manageData'>): string | null {
  const { length } = op.dataName.bytes;
  return length >= 1 && length <= 64 ? null : 'op_data_invalid_name';
}

export function manageData(context: OpContext, { manageDataOp: op }: Body<'manageData'>): OpOutcome {
  const { view, source } = context;
  const name = dataName(op);
  const known = view.account(source)?.data[name];
  const slot = { owner: source, units: 1, subentry: true };
  let sponsor = known?.sponsor ?? null;
  if (op.dataValue === null) {
    if (known === undefined) return failure('op_data_name_not_found');
    release(context, slot, known.sponsor);
  } else if (known === undefined) {
    const reserved = reserve(context, slot);
    if (reserved.failed !== null) return failure(reserved.failed);
    sponsor = reserved.sponsor;
  }
  const account = view.account(source);
  if (account === undefined) return failure('op_no_source_account');
  if (op.dataValue === null) delete account.data[name];
  else account.data[name] = { value: Buffer.from(op.dataValue.value).toString('base64'), sponsor };
  view.putAccount(account);
  return success;
}

export function checkSetOptions({ setOptionsOp: op }: Body<'setOptions'>, source: string): string | null {
  const set = op.setFlags ?? 0;
  const clear = op.clearFlags ?? 0;
  if (((set | clear) & ~ACCOUNT_FLAGS) !== 0) return 'op_unknown_flag';
  if ((set & clear) !== 0) return 'op_bad_flags';
  const weights = [op.masterWeight, op.lowThreshold, op.medThreshold, op.highThreshold];
  if (weights.some((weight) => weight !== null && weight > 255)) return 'op_threshold_out_of_range';
  if (op.signer !== null) {
    const { key, weight } = op.signer;
    // Only plain keys can sign here: hash and pre-authorised signers are not modelled and must not pass silently.
    if (key.type !== 'signerKeyTypeEd25519' || weight > 255) return 'op_bad_signer';
    if (StrKey.encodeEd25519PublicKey(key.ed25519.value) === source) return 'op_bad_signer';
  }
  const domain = op.homeDomain === null ? '' : Buffer.from(op.homeDomain.bytes).toString('latin1');
  return /^[\x20-\x7e]{0,32}$/.test(domain) ? null : 'op_invalid_home_domain';
}

function setFlags(account: AccountEntry, op: xdr.SetOptionsOp): string | null {
  const set = op.setFlags ?? 0;
  const clear = op.clearFlags ?? 0;
  if ((set | clear) === 0) return null;
  if ((account.flags & AUTH_IMMUTABLE) !== 0) return 'op_cant_change';
  const flags = (account.flags & ~clear) | set;
  if ((flags & AUTH_CLAWBACK) !== 0 && (flags & AUTH_REVOCABLE) === 0) return 'op_auth_revocable_required';
  account.flags = flags;
  return null;
}

function setSigner(context: OpContext, signer: xdr.Signer): string | null {
  if (signer.key.type !== 'signerKeyTypeEd25519') return 'op_bad_signer';
  const { view, source } = context;
  const key = StrKey.encodeEd25519PublicKey(signer.key.ed25519.value);
  const slot = { owner: source, units: 1, subentry: true };
  const known = view.account(source)?.signers.find((candidate) => candidate.key === key);
  let sponsor = known?.sponsor ?? null;
  if (signer.weight === 0) {
    if (known !== undefined) release(context, slot, known.sponsor);
  } else if (known === undefined) {
    if ((view.account(source)?.signers.length ?? 0) >= MAX_SIGNERS) return 'op_too_many_signers';
    const reserved = reserve(context, slot);
    if (reserved.failed !== null) return reserved.failed;
    sponsor = reserved.sponsor;
  }
  const account = view.account(source);
  if (account === undefined) return 'op_no_source_account';
  const others = account.signers.filter((candidate) => candidate.key !== key);
  account.signers = signer.weight === 0 ? others : [...others, { key, weight: signer.weight, sponsor }];
  account.signers.sort((a, b) => (a.key < b.key ? -1 : 1));
  view.putAccount(account);
  return null;
}

export function setOptions(context: OpContext, { setOptionsOp: op }: Body<'setOptions'>): OpOutcome {
  const { view, source } = context;
  const account = view.account(source);
  if (account === undefined) return failure('op_no_source_account');
  if (op.inflationDest !== null && view.account(accountId(op.inflationDest)) === undefined) {
    return failure('op_invalid_inflation');
  }
  const flagged = setFlags(account, op);
  if (flagged !== null) return failure(flagged);
  if (op.homeDomain !== null) account.homeDomain = Buffer.from(op.homeDomain.bytes).toString('latin1');
  const { thresholds } = account;
  account.thresholds = {
    master: op.masterWeight ?? thresholds.master,
    low: op.lowThreshold ?? thresholds.low,
    med: op.medThreshold ?? thresholds.med,
    high: op.highThreshold ?? thresholds.high,
  };
  view.putAccount(account);
  const signed = op.signer === null ? null : setSigner(context, op.signer);
  return signed === null ? success : failure(signed);
}

export function checkBeginSponsoring(body: Body<'beginSponsoringFutureReserves'>, source: string): string | null {
  return accountId(body.beginSponsoringFutureReservesOp.sponsoredId) === source ? 'op_malformed' : null;
}

export function beginSponsoring(context: OpContext, body: Body<'beginSponsoringFutureReserves'>): OpOutcome {
  const { sponsorships, source } = context;
  const sponsored = accountId(body.beginSponsoringFutureReservesOp.sponsoredId);
  if (sponsorships.has(sponsored)) return failure('op_already_sponsored');
  if (sponsorships.has(source) || [...sponsorships.values()].includes(sponsored)) return failure('op_recursive');
  sponsorships.set(sponsored, source);
  return success;
}

export function endSponsoring({ sponsorships, source }: OpContext): OpOutcome {
  return sponsorships.delete(source) ? success : failure('op_not_sponsored');
}
