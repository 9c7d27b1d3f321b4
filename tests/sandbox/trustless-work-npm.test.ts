/** The unmodified npm client `@trustless-work/escrow`: every request it can make, as its own bundle makes it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  TrustlessWorkConfig,
  useApproveMilestone,
  useChangeMilestoneStatus,
  useFundEscrow,
  useGetEscrowFromIndexerByContractIds,
  useGetEscrowsFromIndexerByRole,
  useGetEscrowsFromIndexerBySigner,
  useGetMultipleEscrowBalances,
  useInitializeEscrow,
  useReleaseFunds,
  useResolveDispute,
  useSendTransaction,
  useStartDispute,
  useUpdateEscrow,
  useUpdateFromTxHash,
  useWithdrawRemainingFunds,
} from '@trustless-work/escrow';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import { type Client, ROLES, startClient } from './trustless-work-client.ts';

const hooks = () => ({
  ...useApproveMilestone(),
  ...useChangeMilestoneStatus(),
  ...useFundEscrow(),
  ...useGetEscrowFromIndexerByContractIds(),
  ...useGetEscrowsFromIndexerByRole(),
  ...useGetEscrowsFromIndexerBySigner(),
  ...useGetMultipleEscrowBalances(),
  ...useInitializeEscrow(),
  ...useReleaseFunds(),
  ...useResolveDispute(),
  ...useSendTransaction(),
  ...useStartDispute(),
  ...useUpdateEscrow(),
  ...useUpdateFromTxHash(),
  ...useWithdrawRemainingFunds(),
});

/** The package gives its requests to React components only: one is rendered to hand them out. */
function requestsOf(baseURL: string): ReturnType<typeof hooks> {
  const found: ReturnType<typeof hooks>[] = [];
  const Component = (): null => {
    found.push(hooks());
    return null;
  };
  const config = { baseURL: baseURL as Parameters<typeof TrustlessWorkConfig>[0]['baseURL'], apiKey: 'client.secret' };
  renderToStaticMarkup(createElement(TrustlessWorkConfig, { ...config, children: createElement(Component) }));
  const [requests] = found;
  if (requests === undefined) throw new Error('nothing was rendered');
  return requests;
}

let api: Client;
let tw: ReturnType<typeof requestsOf>;

beforeAll(async () => {
  api = await startClient();
  tw = requestsOf(`${api.sandbox.url}/trustless-work`);
  await api.open(ROLES, '0');
  await api.open(['funder'], '1000');
});
afterAll(() => api.close());

/** Signs what a build answered with, sends it, and lets the index catch up. */
async function sign(built: Promise<{ unsignedTransaction?: string }>, signer: string): Promise<unknown> {
  const transaction = api.parse((await built).unsignedTransaction ?? '');
  transaction.sign(api.key(signer));
  const sent: unknown = await tw.sendTransaction(transaction.toXdr());
  api.sandbox.core.closeLedger();
  return sent;
}

const contractOf = (sent: unknown): string => (sent as { contractId: string }).contractId;

const commonRoles = () => ({
  approver: api.address('buyer'),
  serviceProvider: api.address('seller'),
  platformAddress: api.address('fees'),
  releaseSigner: api.address('operator'),
  disputeResolver: api.address('resolver'),
});
const roles = () => ({ ...commonRoles(), receiver: api.address('seller') });
const terms = () => ({
  signer: api.address('channel'),
  engagementId: 'esc_npm',
  title: 'Logo',
  description: 'Three drafts',
  platformFee: 0.5,
  trustline: { address: api.asset.getIssuer() ?? '', symbol: 'USDC' },
});
const shares = (amount: number): [{ address: string; amount: number }] => [{ address: api.address('buyer'), amount }];

describe('single-release', () => {
  const type = 'single-release';
  const open = async (): Promise<string> => {
    const milestones = [{ description: 'all of it' }];
    const payload = { ...terms(), roles: roles(), amount: 100, milestones };
    const contractId = contractOf(await sign(tw.deployEscrow(payload, type), 'channel'));
    await sign(tw.fundEscrow({ contractId, signer: api.address('funder'), amount: 100 }, type), 'funder');
    return contractId;
  };

  test('is deployed, funded, changed, approved and released', async () => {
    const contractId = await open();
    const status = { contractId, milestoneIndex: '0', newStatus: 'done', newEvidence: 'ipfs://x' };
    await sign(tw.changeMilestoneStatus({ ...status, serviceProvider: api.address('seller') }, type), 'seller');
    const approval = { contractId, milestoneIndex: '0', approver: api.address('buyer') };
    await sign(tw.approveMilestone(approval, type), 'buyer');
    const before = Number(api.holds('seller'));
    await sign(tw.releaseFunds({ contractId, releaseSigner: api.address('operator') }, type), 'operator');
    expect(Number(api.holds('seller')) - before).toBeCloseTo(99.2, 7);
  });

  test('is disputed and resolved', async () => {
    const contractId = await open();
    await sign(tw.startDispute({ contractId, signer: api.address('buyer') }, type), 'buyer');
    const disputeResolver = api.address('resolver');
    const resolution = { contractId, disputeResolver, distributions: shares(100) };
    expect(await sign(tw.resolveDispute(resolution, type), 'resolver')).toMatchObject({ status: 'SUCCESS' });
  });

  test('is updated before it is funded', async () => {
    const { signer, ...rest } = { ...terms(), roles: roles(), amount: 100, milestones: [{ description: 'all of it' }] };
    const contractId = contractOf(await sign(tw.deployEscrow({ signer, ...rest }, type), 'channel'));
    const milestones = [{ description: 'all of it', status: 'pending', evidence: '' }, { description: 'letterhead' }];
    const escrow = { ...rest, amount: 120, title: 'Logo and letterhead', milestones };
    const update = tw.updateEscrow({ contractId, signer: api.address('fees'), escrow }, type);
    expect(await sign(update, 'fees')).toMatchObject({ status: 'SUCCESS', escrow: { title: 'Logo and letterhead' } });
  });
});

describe('multi-release', () => {
  const type = 'multi-release';
  const open = async (): Promise<string> => {
    const milestone = { amount: 40, receiver: api.address('seller') };
    const milestones = [
      { ...milestone, description: 'first half' },
      { ...milestone, description: 'second half' },
    ];
    const payload = { ...terms(), roles: commonRoles() as ReturnType<typeof roles>, milestones };
    const contractId = contractOf(await sign(tw.deployEscrow(payload, type), 'channel'));
    await sign(tw.fundEscrow({ contractId, signer: api.address('funder'), amount: 90 }, type), 'funder');
    return contractId;
  };

  test('is released and resolved milestone by milestone, and what remains is withdrawn', async () => {
    const contractId = await open();
    await sign(tw.approveMilestone({ contractId, milestoneIndex: '0', approver: api.address('buyer') }, type), 'buyer');
    const release = { contractId, milestoneIndex: '0', releaseSigner: api.address('operator') };
    await sign(tw.releaseFunds(release, type), 'operator');
    await sign(tw.startDispute({ contractId, milestoneIndex: '1', signer: api.address('buyer') }, type), 'buyer');
    const resolver = { contractId, disputeResolver: api.address('resolver') };
    await sign(tw.resolveDispute({ ...resolver, milestoneIndex: '1', distributions: shares(40) }, type), 'resolver');
    await sign(tw.withdrawRemainingFunds({ ...resolver, distributions: shares(10) }), 'resolver');
    const balances = (await tw.getMultipleBalances({ addresses: [contractId] })) as unknown;
    expect(balances).toEqual([{ address: contractId, balance: 0 }]);
  });
});

test('reads: by contract, by signer, by role; and the index is brought up to date by hash', async () => {
  const milestones = [{ description: 'all of it' }];
  const payload = { ...terms(), engagementId: 'esc_read', roles: roles(), amount: 7, milestones };
  const contractId = contractOf(await sign(tw.deployEscrow(payload, 'single-release'), 'channel'));
  const query = { engagementId: 'esc_read', validateOnChain: true, page: 1, orderDirection: 'asc' } as const;
  const role = { role: 'approver', roleAddress: api.address('buyer') } as const;
  const answers = (await Promise.all([
    tw.getEscrowByContractIds({ contractIds: [contractId], validateOnChain: true }),
    tw.getEscrowsBySigner({ ...query, signer: api.address('channel') }),
    tw.getEscrowsByRole({ ...query, ...role }),
  ])) as unknown[];
  for (const rows of answers) expect(rows).toMatchObject([{ contractId, engagementId: 'esc_read', amount: 7 }]);
  const { transactions } = api.sandbox.core.history;
  const { transaction } = transactions.at(-1) ?? {};
  expect(await tw.updateFromTxHash({ txHash: transaction?.hash ?? '' })).toMatchObject({ status: 'SUCCESS' });
});
