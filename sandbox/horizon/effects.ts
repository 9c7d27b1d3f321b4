/** Effects: what operations did to accounts, as Horizon tells it. Worked out when somebody asks, never kept. */
import { StrKey, xdr } from '@stellar/stellar-sdk/base';
import { formatFixed } from '../../domain/money.ts';
import type { OperationEntry } from '../core/history.ts';
import { isoTime } from '../core/http.ts';
import { accountId, assetId } from '../core/keys.ts';
import type { AccountEntry, AssetId, BalanceChange, TrustlineEntry } from '../core/types.ts';
import { sponsorshipEffects } from './effects-sponsorship.ts';
import { assetFields } from './assets.ts';
import { muxedFields } from './transactions.ts';

type Fields = Record<string, unknown>;

/** Horizon's numbers of the effects that this ledger's operations have. */
const TYPES = {
  account_created: 0,
  account_removed: 1,
  account_credited: 2,
  account_debited: 3,
  account_thresholds_updated: 4,
  account_home_domain_updated: 5,
  account_flags_updated: 6,
  signer_created: 10,
  signer_removed: 11,
  signer_updated: 12,
  trustline_created: 20,
  trustline_removed: 21,
  trustline_updated: 22,
  trustline_flags_updated: 26,
  data_created: 40,
  data_removed: 41,
  data_updated: 42,
  sequence_bumped: 43,
  account_sponsorship_created: 60,
  account_sponsorship_removed: 62,
  trustline_sponsorship_created: 63,
  trustline_sponsorship_removed: 65,
  data_sponsorship_created: 66,
  data_sponsorship_removed: 68,
  signer_sponsorship_created: 72,
  signer_sponsorship_removed: 74,
  contract_credited: 96,
  contract_debited: 97,
} as const;

export interface Effect {
  readonly type: keyof typeof TYPES;
  readonly account: string;
  readonly details: Fields;
}

/** An operation with what its effects are told from. */
interface Subject {
  readonly entry: OperationEntry;
  readonly source: Fields & { readonly account: string };
}

function told(type: Effect['type'], { account, ...muxed }: Subject['source'], details: Fields): Effect {
  return { type, account, details: { ...muxed, ...details } };
}

/** A possibly muxed account, as effects name it. */
function named(account: xdr.MuxedAccount): Subject['source'] {
  return { account: accountId(account), ...muxedFields('account', account) };
}

const money = (asset: AssetId, amount: bigint): Fields => ({ ...assetFields(asset), amount: formatFixed(amount) });

function paid(subject: Subject, to: xdr.MuxedAccount, received: Fields, sent = received): Effect[] {
  return [told('account_credited', named(to), received), told('account_debited', subject.source, sent)];
}

/** One side of a contract's movement: an account's own, or the calling account's word about a contract. */
function side(subject: Subject, verb: 'credited' | 'debited', party: string | null, change: BalanceChange): Effect[] {
  if (party === null) return [];
  const details = { ...money(change.asset, change.amount), contract_event_type: change.type };
  if (StrKey.isValidEd25519PublicKey(party)) return [told(`account_${verb}`, { account: party }, details)];
  return [told(`contract_${verb}`, subject.source, { ...details, contract: party })];
}

function invoked(subject: Subject): Effect[] {
  return subject.entry.operation.changes.flatMap((change) => [
    ...side(subject, 'debited', change.from, change),
    ...side(subject, 'credited', change.to, change),
  ]);
}

type Account = AccountEntry | undefined;

/** The source account before and after. */
function accountsOf({ entry, source }: Subject): { before: Account; after: Account } {
  for (const change of entry.operation.entries) {
    if (change.kind !== 'account') continue;
    if ((change.before ?? change.after)?.id === source.account) return change;
  }
  return { before: undefined, after: undefined };
}

function lineOf({ entry, source }: Subject): {
  before?: TrustlineEntry | undefined;
  after?: TrustlineEntry | undefined;
} {
  for (const change of entry.operation.entries) {
    if (change.kind === 'trustline' && (change.before ?? change.after)?.account === source.account) return change;
  }
  return {};
}

/** Who may sign with which weight, the master key included; a weight of 0 is no signer. */
function weights(account: Account): Map<string, number> {
  if (account === undefined) return new Map();
  const all = [{ key: account.id, weight: account.thresholds.master }, ...account.signers];
  return new Map(all.filter(({ weight }) => weight > 0).map(({ key, weight }) => [key, weight]));
}

function signers(subject: Subject): Effect[] {
  const accounts = accountsOf(subject);
  const [before, after] = [weights(accounts.before), weights(accounts.after)];
  const effect = (type: Effect['type'], key: string, weight: number): Effect =>
    told(type, subject.source, { weight, public_key: key, key: '' });
  const known = [...before.keys()].toSorted().flatMap((key) => {
    const weight = after.get(key);
    if (weight === undefined) return [effect('signer_removed', key, 0)];
    return weight === before.get(key) ? [] : [effect('signer_updated', key, weight)];
  });
  const added = [...after].filter(([key]) => !before.has(key)).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [...known, ...added.map(([key, weight]) => effect('signer_created', key, weight))];
}

function flagged(set: number, clear: number, names: readonly (readonly [number, string])[]): Fields {
  const changed = names.filter(([bit]) => ((set | clear) & bit) !== 0);
  return Object.fromEntries(changed.map(([bit, name]) => [name, (set & bit) !== 0]));
}

const ACCOUNT_FLAGS = [
  [1, 'auth_required_flag'],
  [2, 'auth_revocable_flag'],
  [4, 'auth_immutable_flag'],
  [8, 'auth_clawback_enabled_flag'],
] as const;
const TRUSTLINE_FLAGS = [
  [1, 'authorized_flag'],
  [2, 'authorized_to_maintain_liabilites_flag'],
  [4, 'clawback_enabled_flag'],
] as const;

function options(subject: Subject, op: xdr.SetOptionsOp): Effect[] {
  const { source } = subject;
  const thresholds = Object.fromEntries(
    [
      ['low_threshold', op.lowThreshold],
      ['med_threshold', op.medThreshold],
      ['high_threshold', op.highThreshold],
    ].filter(([, value]) => value !== null),
  ) as Fields;
  const flags = flagged(op.setFlags ?? 0, op.clearFlags ?? 0, ACCOUNT_FLAGS);
  const domain = op.homeDomain === null ? [] : [Buffer.from(op.homeDomain.bytes).toString('latin1')];
  return [
    ...domain.map((name) => told('account_home_domain_updated', source, { home_domain: name })),
    ...(Object.keys(thresholds).length === 0 ? [] : [told('account_thresholds_updated', source, thresholds)]),
    ...(Object.keys(flags).length === 0 ? [] : [told('account_flags_updated', source, flags)]),
    ...signers(subject),
  ];
}

function trust(subject: Subject, op: xdr.ChangeTrustOp): Effect[] {
  const { before, after } = lineOf(subject);
  const type =
    after === undefined ? 'trustline_removed' : before === undefined ? 'trustline_created' : 'trustline_updated';
  const details = { ...assetFields(assetId(op.line) ?? 'native'), limit: formatFixed(op.limit) };
  return [told(type, subject.source, details)];
}

function data(subject: Subject, op: xdr.ManageDataOp): Effect[] {
  const name = Buffer.from(op.dataName.bytes).toString('utf8');
  if (op.dataValue === null) return [told('data_removed', subject.source, { name })];
  const value = Buffer.from(op.dataValue.value).toString('base64');
  const known = accountsOf(subject).before?.data[name] !== undefined;
  return [told(known ? 'data_updated' : 'data_created', subject.source, { name, value })];
}

function accountEffects(subject: Subject, body: xdr.OperationBody): Effect[] {
  const { source, entry } = subject;
  switch (body.type) {
    case 'createAccount': {
      const { destination, startingBalance } = body.createAccountOp;
      const account = { account: accountId(destination) };
      return [
        told('account_created', account, { starting_balance: formatFixed(startingBalance) }),
        told('account_debited', source, money('native', startingBalance)),
        told('signer_created', account, { weight: 1, public_key: account.account, key: '' }),
      ];
    }
    case 'accountMerge': {
      const moved = money('native', entry.operation.changes[0]?.amount ?? 0n);
      const into = told('account_credited', named(body.destination), moved);
      return [told('account_debited', source, moved), into, told('account_removed', source, {})];
    }
    case 'setOptions':
      return options(subject, body.setOptionsOp);
    case 'manageData':
      return data(subject, body.manageDataOp);
    case 'bumpSequence': {
      const { before, after } = accountsOf(subject);
      if (after === undefined || before?.sequence === after.sequence) return [];
      return [told('sequence_bumped', source, { new_seq: String(after.sequence) })];
    }
    case 'changeTrust':
      return trust(subject, body.changeTrustOp);
    default:
      return [];
  }
}

function moneyEffects(subject: Subject, body: xdr.OperationBody): Effect[] {
  switch (body.type) {
    case 'payment': {
      const { destination, asset, amount } = body.paymentOp;
      return paid(subject, destination, money(assetId(asset) ?? 'native', amount));
    }
    case 'pathPaymentStrictReceive': {
      const { destination, destAsset, destAmount } = body.pathPaymentStrictReceiveOp;
      return paid(subject, destination, money(assetId(destAsset) ?? 'native', destAmount));
    }
    case 'pathPaymentStrictSend': {
      const { destination, destAsset, sendAmount } = body.pathPaymentStrictSendOp;
      return paid(subject, destination, money(assetId(destAsset) ?? 'native', sendAmount));
    }
    case 'clawback': {
      const { from, asset, amount } = body.clawbackOp;
      const moved = money(assetId(asset) ?? 'native', amount);
      return [told('account_credited', subject.source, moved), told('account_debited', named(from), moved)];
    }
    case 'setTrustLineFlags': {
      const { asset, trustor, setFlags, clearFlags } = body.setTrustLineFlagsOp;
      const flags = flagged(setFlags, clearFlags, TRUSTLINE_FLAGS);
      const details = { ...assetFields(assetId(asset) ?? 'native'), trustor: accountId(trustor), ...flags };
      return [told('trustline_flags_updated', subject.source, details)];
    }
    case 'invokeHostFunction':
      return invoked(subject);
    default:
      return [];
  }
}

/** The effects of one operation in Horizon's order; their numbers begin at 1. A failed transaction has none. */
export function effectsOf(entry: OperationEntry): Effect[] {
  const { operation, transaction } = entry;
  if (!transaction.successful) return [];
  const { body, sourceAccount } = xdr.Operation.fromXdr(operation.xdr, 'base64');
  const source = sourceAccount === null ? { account: operation.source } : named(sourceAccount);
  const subject = { entry, source };
  return [...accountEffects(subject, body), ...moneyEffects(subject, body), ...sponsorshipEffects(operation.entries)];
}

/** @param base where this Horizon is reached; @param part the effect's number within its operation */
export function effectResource(entry: OperationEntry, part: number, effect: Effect, base: string): Fields {
  const token = `${entry.id}-${part}`;
  return {
    _links: {
      operation: { href: `${base}/operations/${entry.id}` },
      succeeds: { href: `${base}/effects?order=desc&cursor=${token}` },
      precedes: { href: `${base}/effects?order=asc&cursor=${token}` },
    },
    id: `${String(entry.id).padStart(19, '0')}-${String(part).padStart(10, '0')}`,
    paging_token: token,
    account: effect.account,
    type: effect.type,
    type_i: TYPES[effect.type],
    created_at: isoTime(entry.transaction.closedAt),
    ...effect.details,
  };
}
