/**
 * The build endpoints as a table: path, body, and the contract call with its acting wallet. Every action is one
 * `invokeHostFunction` whose transaction source is the role that must sign.
 */
import type { xdr } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import type { Deployment } from '../contracts/index.ts';
import { ApiError } from './errors.ts';
import { NO_FLAGS, type Escrow, type Milestone, escrowScVal } from './escrow.ts';
import { type EscrowType, tokenOf } from './network.ts';
import * as field from './schema.ts';
import { address, bytes, i128, list, nothing, shares, struct, symbol, text, u32 } from './scval.ts';

export interface Call {
  /** transaction source */
  readonly source: string;
  readonly contract: string;
  readonly fn: string;
  readonly args: xdr.ScVal[];
}

/** What a builder may ask for besides the body. */
export interface BuildContext {
  readonly passphrase: string;
  readonly deployment: Deployment;
  /** The escrow as the (lagging) read model has it. Throws "Escrow not found" when it does not have it yet. */
  indexed(contractId: string): { readonly stateXdr: string; readonly escrow: Escrow };
  /** Refuses a deploy for wallets that lack a trustline for `asset` (`CODE:ISSUER`, null: not a classic asset). */
  requireTrustlines(deploy: {
    readonly roles: Escrow['roles'];
    readonly milestones: readonly { readonly receiver?: string }[];
    readonly asset: string | null;
  }): void;
  /** 32 fresh bytes for a deploy. */
  salt(): Uint8Array;
}

export interface Action {
  readonly method: 'POST' | 'PUT';
  readonly path: string;
  readonly type: EscrowType;
  readonly build: (body: unknown, context: BuildContext) => Call;
}

function action<T>(
  method: Action['method'],
  path: string,
  schema: z.ZodType<T>,
  build: (body: T, context: BuildContext) => Call,
): Action {
  const type = path.includes('multi-release') ? 'multi' : 'single';
  return { method, path, type, build: (body, context) => build(field.validate(schema, body), context) };
}

/** The fee wallet's slot in an argument list: only builds of the testnet line take it. */
const feeWallet = (deployment: Deployment): xdr.ScVal[] =>
  deployment.feeWalletAsArgument ? [address(deployment.feeWallet)] : [];

const invoke = (source: string, contract: string, fn: string, args: xdr.ScVal[]): Call => ({
  source,
  contract,
  fn,
  args,
});

type Trustline = z.infer<typeof field.trustline>;

function deploy(
  signer: string,
  type: EscrowType,
  terms: Omit<Escrow, 'token'>,
  trustline: Trustline,
  context: BuildContext,
): Call {
  const asset = trustline.address.startsWith('G') ? `${trustline.symbol}:${trustline.address}` : null;
  context.requireTrustlines({ ...terms, asset });
  const escrow = { ...terms, token: tokenOf(trustline, context.passphrase) };
  const { factories, wasmHashes } = context.deployment;
  const wasmHash = Buffer.from(wasmHashes[type], 'hex');
  return invoke(signer, factories[type], `tw_new_${type}_release_escrow`, [
    address(signer),
    bytes(wasmHash),
    bytes(context.salt()),
    symbol('initialize_escrow'),
    list([escrowScVal(escrow)]),
    list([]),
  ]);
}

const fresh = { status: 'pending', evidence: '' };

const deploySingle = action(
  'POST',
  '/deployer/single-release',
  z.strictObject({
    ...field.terms,
    signer: field.wallet,
    roles: field.singleRoles,
    amount: field.amount,
    milestones: z.array(z.strictObject({ description: field.text })),
    receiverMemo: field.memo.optional(),
  }),
  ({ signer, platformFee, trustline, receiverMemo, milestones, ...terms }, context) => {
    const escrow = {
      ...terms,
      platformFeeBps: platformFee,
      receiverMemo: receiverMemo ?? 0,
      milestones: milestones.map((milestone) => ({ ...milestone, ...fresh, approved: false })),
      flags: NO_FLAGS,
    };
    return deploy(signer, 'single', escrow, trustline, context);
  },
);

const multiMilestone = { description: field.text, amount: field.amount, receiver: field.account };

const deployMulti = action(
  'POST',
  '/deployer/multi-release',
  z.strictObject({
    ...field.terms,
    signer: field.wallet,
    roles: field.multiRoles,
    milestones: z.array(z.strictObject(multiMilestone)),
  }),
  ({ signer, platformFee, trustline, milestones, ...terms }, context) => {
    const escrow = {
      ...terms,
      platformFeeBps: platformFee,
      receiverMemo: 0,
      milestones: milestones.map((milestone) => ({ ...milestone, ...fresh, flags: { approved: false, ...NO_FLAGS } })),
    };
    return deploy(signer, 'multi', escrow, trustline, context);
  },
);

/** The actions whose REST shape is the same for both types. */
function common(type: EscrowType): Action[] {
  const base = `/escrow/${type}-release`;
  return [
    action(
      'POST',
      `${base}/fund-escrow`,
      z.strictObject({ contractId: field.contract, signer: field.wallet, amount: field.amount }),
      ({ contractId, signer, amount }, { indexed }) => {
        // The expected properties come from the read model: while it lags behind a change, the contract refuses them.
        const expected = escrowScVal(indexed(contractId).escrow);
        return invoke(signer, contractId, 'fund_escrow', [address(signer), expected, i128(amount)]);
      },
    ),
    action(
      'POST',
      `${base}/change-milestone-status`,
      z.strictObject({
        contractId: field.contract,
        milestoneIndex: field.index,
        newStatus: field.text,
        newEvidence: field.text.optional(),
        serviceProvider: field.wallet,
      }),
      ({ contractId, milestoneIndex, newStatus, newEvidence, serviceProvider }, { indexed }) => {
        indexed(contractId);
        const evidence = newEvidence === undefined ? nothing() : text(newEvidence);
        const change = { index: u32(milestoneIndex), status: text(newStatus), evidence };
        const args = type === 'multi' ? [list([struct(change)])] : [change.index, change.status, change.evidence];
        return invoke(serviceProvider, contractId, 'change_milestone_status', [...args, address(serviceProvider)]);
      },
    ),
    action(
      'POST',
      `${base}/approve-milestone`,
      // The published client's type allows `newEvidence` here; the contract has no place for it.
      z.strictObject({
        contractId: field.contract,
        milestoneIndex: field.index,
        approver: field.wallet,
        newEvidence: field.text.optional(),
      }),
      ({ contractId, milestoneIndex, approver }, { indexed }) => {
        indexed(contractId);
        return invoke(approver, contractId, 'approve_milestone', [u32(milestoneIndex), address(approver)]);
      },
    ),
  ];
}

const singleOnly: Action[] = [
  action(
    'POST',
    '/escrow/single-release/release-funds',
    z.strictObject({ contractId: field.contract, releaseSigner: field.wallet }),
    ({ contractId, releaseSigner }, { indexed, deployment }) => {
      indexed(contractId);
      return invoke(releaseSigner, contractId, 'release_funds', [address(releaseSigner), ...feeWallet(deployment)]);
    },
  ),
  action(
    'POST',
    '/escrow/single-release/dispute-escrow',
    z.strictObject({ contractId: field.contract, signer: field.wallet }),
    ({ contractId, signer }, { indexed }) => {
      indexed(contractId);
      return invoke(signer, contractId, 'dispute_escrow', [address(signer)]);
    },
  ),
  action(
    'POST',
    '/escrow/single-release/resolve-dispute',
    z.strictObject({ contractId: field.contract, disputeResolver: field.wallet, distributions: field.distributions }),
    ({ contractId, disputeResolver, distributions }, { indexed, deployment }) => {
      indexed(contractId);
      const args = [address(disputeResolver), ...feeWallet(deployment), sharesOf(distributions)];
      return invoke(disputeResolver, contractId, 'resolve_dispute', args);
    },
  ),
];

const multiOnly: Action[] = [
  action(
    'POST',
    '/escrow/multi-release/release-milestone-funds',
    z.strictObject({ contractId: field.contract, releaseSigner: field.wallet, milestoneIndex: field.index }),
    ({ contractId, releaseSigner, milestoneIndex }, { indexed, deployment }) => {
      indexed(contractId);
      const args = [address(releaseSigner), ...feeWallet(deployment), u32(milestoneIndex)];
      return invoke(releaseSigner, contractId, 'release_milestone_funds', args);
    },
  ),
  action(
    'POST',
    '/escrow/multi-release/dispute-milestone',
    z.strictObject({ contractId: field.contract, signer: field.wallet, milestoneIndex: field.index }),
    ({ contractId, signer, milestoneIndex }, { indexed }) => {
      indexed(contractId);
      return invoke(signer, contractId, 'dispute_milestone', [u32(milestoneIndex), address(signer)]);
    },
  ),
  action(
    'POST',
    '/escrow/multi-release/resolve-milestone-dispute',
    z.strictObject({
      contractId: field.contract,
      disputeResolver: field.wallet,
      milestoneIndex: field.index,
      distributions: field.distributions,
    }),
    ({ contractId, disputeResolver, milestoneIndex, distributions }, { indexed, deployment }) => {
      indexed(contractId);
      const head = [address(disputeResolver), u32(milestoneIndex)];
      const args = [...head, ...feeWallet(deployment), sharesOf(distributions)];
      return invoke(disputeResolver, contractId, 'resolve_milestone_dispute', args);
    },
  ),
  action(
    'POST',
    '/escrow/multi-release/withdraw-remaining-funds',
    z.strictObject({ contractId: field.contract, disputeResolver: field.wallet, distributions: field.distributions }),
    ({ contractId, disputeResolver, distributions }, { indexed, deployment }) => {
      indexed(contractId);
      const args = [address(disputeResolver), ...feeWallet(deployment), sharesOf(distributions)];
      return invoke(disputeResolver, contractId, 'withdraw_remaining_funds', args);
    },
  ),
];

/** A map has one entry per address, and the API does not add them up. */
function sharesOf(distributions: readonly { address: string; amount: bigint }[]): xdr.ScVal {
  const seen = new Set(distributions.map((entry) => entry.address));
  if (seen.size !== distributions.length) throw new ApiError(400, 'distributions must not repeat an address');
  return shares(distributions);
}

const stateFields = { status: field.text.optional(), evidence: field.text.optional() };
const settled = { disputed: field.flag, released: field.flag, resolved: field.flag };

/** Existing milestones must carry their state; appended ones start fresh. */
function withState<T extends { status?: string | undefined; evidence?: string | undefined }>(
  milestones: readonly T[],
  existing: number,
): (Omit<T, 'status' | 'evidence'> & { status: string; evidence: string })[] {
  return milestones.map((milestone, position) => {
    if (position < existing && (milestone.status === undefined || milestone.evidence === undefined)) {
      throw new ApiError(400, `escrow.milestones.${position} must carry status and evidence`);
    }
    const { status, evidence, ...rest } = milestone;
    return { ...rest, status: status ?? fresh.status, evidence: evidence ?? fresh.evidence };
  });
}

function update(signer: string, contractId: string, escrow: Escrow): Call {
  return invoke(signer, contractId, 'update_escrow', [address(signer), escrowScVal(escrow)]);
}

const updateSingle = action(
  'PUT',
  '/escrow/single-release/update-escrow',
  z.strictObject({
    contractId: field.contract,
    signer: field.wallet,
    escrow: z.strictObject({
      ...field.terms,
      roles: field.singleRoles,
      amount: field.amount,
      milestones: z.array(z.strictObject({ description: field.text, ...stateFields, approved: field.flag.optional() })),
      flags: z.strictObject(settled).optional(),
      isActive: z.literal(true, 'false is not modelled').optional(),
      receiverMemo: field.memo.optional(),
    }),
  }),
  ({ contractId, signer, escrow }, { indexed, passphrase }) => {
    const stored = indexed(contractId).escrow;
    const { platformFee, trustline, isActive: _, flags, receiverMemo, milestones, ...terms } = escrow;
    return update(signer, contractId, {
      ...terms,
      platformFeeBps: platformFee,
      token: tokenOf(trustline, passphrase),
      receiverMemo: receiverMemo ?? stored.receiverMemo,
      flags: flags ?? stored.flags ?? NO_FLAGS,
      milestones: withState(milestones, stored.milestones.length).map(
        ({ approved, ...rest }): Milestone => ({ ...rest, approved: approved ?? false }),
      ),
    });
  },
);

const updateMulti = action(
  'PUT',
  '/escrow/multi-release/update-escrow',
  z.strictObject({
    contractId: field.contract,
    signer: field.wallet,
    escrow: z.strictObject({
      ...field.terms,
      roles: field.multiRoles,
      milestones: z.array(
        z.strictObject({
          ...multiMilestone,
          ...stateFields,
          flags: z.strictObject({ ...settled, approved: field.flag }).optional(),
        }),
      ),
    }),
  }),
  ({ contractId, signer, escrow }, { indexed, passphrase }) => {
    const stored = indexed(contractId).escrow;
    const { platformFee, trustline, milestones, ...terms } = escrow;
    return update(signer, contractId, {
      ...terms,
      platformFeeBps: platformFee,
      token: tokenOf(trustline, passphrase),
      receiverMemo: stored.receiverMemo,
      milestones: withState(milestones, stored.milestones.length).map(
        ({ flags, ...rest }, position): Milestone => ({
          ...rest,
          flags: flags ?? stored.milestones[position]?.flags ?? { approved: false, ...NO_FLAGS },
        }),
      ),
    });
  },
);

export const ACTIONS: readonly Action[] = [
  deploySingle,
  deployMulti,
  ...common('single'),
  ...common('multi'),
  ...singleOnly,
  ...multiOnly,
  updateSingle,
  updateMulti,
];
