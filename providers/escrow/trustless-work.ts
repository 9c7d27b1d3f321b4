/** Envelopes by way of the Trustless Work V1 REST API. Its read model lags and its texts mislead: only shapes are trusted. */
import { formatAmount, STROOPS_PER_UNIT } from '../../domain/money.ts';
import type { Distribution, EscrowCall, EscrowTerms, EscrowType } from '../../domain/chain.ts';
import { ProviderError } from '../errors.ts';
import { json } from '../http.ts';
import { mergeDistributions } from './invocation.ts';
import type { EscrowGateway } from './port.ts';

/** With the node's below the limit of an attempt: one that was given up must not go on and write late. */
const DEFAULT_TIMEOUT_MS = 5_000;

const { rawJSON } = JSON as typeof JSON & { rawJSON(text: string): unknown };

/** Stroops as the JSON number token the API wants, without passing through a float (F26). */
const units = (stroops: bigint): unknown => rawJSON(formatAmount(stroops));
/** Basis points as a percent token: 50 → `0.5`. */
const percent = (bps: number): unknown => rawJSON(formatAmount((BigInt(bps) * STROOPS_PER_UNIT) / 100n));

const TYPE_PATH: Record<EscrowType, string> = { SINGLE_RELEASE: 'single-release', MULTI_RELEASE: 'multi-release' };

interface Request {
  readonly path: string;
  readonly body: Record<string, unknown>;
}

function deployRequest(signer: string, terms: EscrowTerms): Request {
  const single = terms.type === 'SINGLE_RELEASE';
  const { roles } = terms;
  return {
    path: `/deployer/${TYPE_PATH[terms.type]}`,
    body: {
      signer,
      engagementId: terms.engagementId,
      title: terms.title,
      description: terms.description,
      roles: {
        approver: roles.approver,
        serviceProvider: roles.serviceProvider,
        platformAddress: roles.platform,
        releaseSigner: roles.releaseSigner,
        disputeResolver: roles.disputeResolver,
        ...(single ? { receiver: terms.receiver } : {}),
      },
      ...(single ? { amount: units(terms.amount) } : {}),
      platformFee: percent(terms.platformFeeBps),
      milestones: terms.milestones.map(({ description, amount, receiver }) =>
        single ? { description } : { description, amount: units(amount), receiver },
      ),
      trustline: { address: terms.asset.issuer, symbol: terms.asset.code },
    },
  };
}

/** The API does not add up repeated addresses: it refuses them. */
const shares = (distributions: readonly Distribution[]): Record<string, unknown>[] =>
  mergeDistributions(distributions).map(({ address, amount }) => ({ address, amount: units(amount) }));

/** The build request of a call. Milestone indexes are strings on this API. */
function requestOf(call: Exclude<EscrowCall, { fn: 'withdraw_remaining_funds' }>): Request {
  if (call.fn === 'deploy') return deployRequest(call.source, call.terms);
  const { contractId, source, type } = call;
  const milestone = (index: number | null) => (index === null ? {} : { milestoneIndex: String(index) });
  const request = (name: string, body: Record<string, unknown>): Request => ({
    path: `/escrow/${TYPE_PATH[type]}/${name}`,
    body: { contractId, ...body },
  });
  switch (call.fn) {
    case 'fund':
      return request('fund-escrow', { signer: source, amount: units(call.amount) });
    case 'change_milestone_status':
      return request('change-milestone-status', {
        ...milestone(call.milestoneIndex),
        newStatus: call.status,
        newEvidence: call.evidence,
        serviceProvider: source,
      });
    case 'approve_milestone':
      return request('approve-milestone', { ...milestone(call.milestoneIndex), approver: source });
    case 'release': {
      const name = call.milestoneIndex === null ? 'release-funds' : 'release-milestone-funds';
      return request(name, { ...milestone(call.milestoneIndex), releaseSigner: source });
    }
    case 'dispute': {
      const name = call.milestoneIndex === null ? 'dispute-escrow' : 'dispute-milestone';
      return request(name, { ...milestone(call.milestoneIndex), signer: source });
    }
    case 'resolve_dispute': {
      const name = call.milestoneIndex === null ? 'resolve-dispute' : 'resolve-milestone-dispute';
      const distributions = shares(call.distributions);
      return request(name, { ...milestone(call.milestoneIndex), disputeResolver: source, distributions });
    }
  }
}

/**
 * The gateway over REST. `build` answers with whatever the API made: it is untrusted until verified.
 * Errors: 5xx, 429, time-outs and key trouble are `UNAVAILABLE`; other 4xx and a `FAILED` inside a 2xx (F11) are
 * `REFUSED`; a success without an envelope (F12) is `MALFORMED`.
 */
export function createTrustlessWork(deps: {
  readonly url: string;
  readonly apiKey: string;
  readonly timeoutMs?: number;
  /** builds what the API cannot, though the contract can: paying out what is left, also where nothing was released */
  readonly beyond: Pick<EscrowGateway, 'build'>;
}): EscrowGateway {
  const base = deps.url.replace(/\/+$/, '');
  const post = async ({ path, body }: Request): Promise<Record<string, unknown>> => {
    const answer = await json({
      provider: 'trustless-work',
      url: `${base}${path}`,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': deps.apiKey },
      body: JSON.stringify(body),
      timeoutMs: deps.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    });
    if (answer?.['status'] === 'FAILED') {
      throw new ProviderError('REFUSED', 'trustless-work', `FAILED: ${String(answer['message']).slice(0, 500)}`);
    }
    return answer ?? {};
  };
  return {
    name: 'trustless-work',
    taskQueue: 'escrow-api',
    build: async (call) => {
      if (call.fn === 'withdraw_remaining_funds') return deps.beyond.build(call);
      const { unsignedTransaction } = await post(requestOf(call));
      if (typeof unsignedTransaction === 'string' && unsignedTransaction !== '') return unsignedTransaction;
      throw new ProviderError('MALFORMED', 'trustless-work', 'the answer carries no envelope');
    },
    nudge: async (transactionHash) => {
      await post({ path: '/indexer/update-from-txHash', body: { txHash: transactionHash } });
    },
  };
}
