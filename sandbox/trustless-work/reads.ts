/** The GET helpers: rows of the lagging index, or of the chain with `validateOnChain=true`; balances always of the chain. */
import { z } from 'zod';
import { parseAmount } from '../../domain/money.ts';
import { ESCROW_KEY } from '../contracts/index.ts';
import type { Core } from '../core/types.ts';
import { ApiError } from './errors.ts';
import { escrowJson, readEscrow, totalOf, typeOf } from './escrow.ts';
import { amountNumber } from './json.ts';
import { tokenBalance } from './network.ts';
import type { IndexedEscrow, ReadModel } from './read-model.ts';
import * as field from './schema.ts';

/** Rows per page; the live API's number is not published. */
const PAGE_SIZE = 10;
/** The contract's own limit on balances per call. */
const MAX_BALANCES = 20;

const bool = z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true');
const date = field.text
  .regex(/^\d{4}-\d{2}-\d{2}$/, 'must be YYYY-MM-DD')
  .transform((value) => Date.parse(value) / 1000);
const units = field.text.regex(/^\d{1,12}(\.\d{1,7})?$/, 'must be an amount').transform(parseAmount);

const filters = {
  page: field.text
    .regex(/^[1-9]\d{0,8}$/, 'must be a positive integer')
    .transform(Number)
    .optional(),
  orderDirection: z.enum(['asc', 'desc'], 'must be asc or desc').optional(),
  orderBy: z.enum(['createdAt', 'updatedAt', 'amount'], 'must be createdAt, updatedAt or amount').optional(),
  startDate: date.optional(),
  endDate: date.optional(),
  minAmount: units.optional(),
  maxAmount: units.optional(),
  isActive: bool.optional(),
  title: field.text.optional(),
  engagementId: field.text.optional(),
  status: z.enum(['working', 'pendingRelease', 'released', 'resolved', 'inDispute'], 'is not a status').optional(),
  type: z.enum(['single-release', 'multi-release'], 'is not a type').optional(),
  validateOnChain: bool.optional(),
};
const roleNames = [
  'approver',
  'serviceProvider',
  'platformAddress',
  'releaseSigner',
  'disputeResolver',
  'receiver',
  'signer',
] as const;

const bySigner = z.strictObject({ signer: field.account, ...filters });
const byRole = z.strictObject({ role: z.enum(roleNames, 'is not a role'), roleAddress: field.account, ...filters });
const byContract = z.strictObject({
  'contractIds[]': z.array(field.contract),
  validateOnChain: bool.optional(),
  isActive: bool.optional(),
});
const balancesOf = z.strictObject({ 'addresses[]': z.array(field.contract).max(MAX_BALANCES, 'must be at most 20') });

type Filters = Omit<z.infer<typeof bySigner>, 'signer'>;

/** Query parameters as an object; names ending in `[]` collect into arrays. */
function queryOf(url: URL): Record<string, string | string[]> {
  const names = [...new Set(url.searchParams.keys())];
  return Object.fromEntries(
    names.map((name) => [
      name,
      name.endsWith('[]') ? url.searchParams.getAll(name) : (url.searchParams.get(name) ?? ''),
    ]),
  );
}

function statusOf({ escrow }: IndexedEscrow): string {
  const { flags, milestones } = escrow;
  if (flags?.released === true) return 'released';
  if (flags?.resolved === true) return 'resolved';
  if (flags?.disputed === true) return 'inDispute';
  return milestones.every((milestone) => milestone.approved) ? 'pendingRelease' : 'working';
}

function holdsRole(row: IndexedEscrow, role: (typeof roleNames)[number], address: string): boolean {
  if (role === 'signer') return row.signer === address;
  if (role === 'receiver' && typeOf(row.escrow) === 'multi') {
    return row.escrow.milestones.some((milestone) => milestone.receiver === address);
  }
  return row.escrow.roles[role] === address;
}

function matches(row: IndexedEscrow, query: Filters): boolean {
  const { escrow, createdAt } = row;
  const total = totalOf(escrow);
  return (
    (query.startDate === undefined || createdAt >= query.startDate) &&
    (query.endDate === undefined || createdAt < query.endDate + 86_400) &&
    (query.minAmount === undefined || total >= query.minAmount) &&
    (query.maxAmount === undefined || total <= query.maxAmount) &&
    query.isActive !== false &&
    (query.title === undefined || escrow.title.includes(query.title)) &&
    (query.engagementId === undefined || escrow.engagementId === query.engagementId) &&
    (query.status === undefined || (typeOf(escrow) === 'single' && statusOf(row) === query.status)) &&
    (query.type === undefined || query.type === `${typeOf(escrow)}-release`)
  );
}

function sorted(rows: IndexedEscrow[], { orderBy = 'createdAt', orderDirection = 'desc' }: Filters): IndexedEscrow[] {
  const key = (row: IndexedEscrow): bigint => (orderBy === 'amount' ? totalOf(row.escrow) : BigInt(row[orderBy]));
  const ascending = rows.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
  return orderDirection === 'asc' ? ascending : ascending.reverse();
}

const stamp = (seconds: number): unknown => ({ _seconds: seconds, _nanoseconds: 0 });

/** The GET helpers by path. */
export function createReads(core: Core, model: ReadModel): Record<string, (url: URL) => unknown> {
  const row = (indexed: IndexedEscrow, validateOnChain: boolean | undefined): Record<string, unknown> => {
    const current = validateOnChain === true ? model.onChain(indexed) : indexed;
    return {
      signer: current.signer,
      contractId: current.contractId,
      contractBaseId: current.factory,
      ...escrowJson(current.escrow, core.view(), validateOnChain === true ? 'percent' : 'bps'),
      balance: amountNumber(current.balance),
      isActive: true,
      user: current.signer,
      createdAt: stamp(current.createdAt),
      updatedAt: stamp(current.updatedAt),
      type: `${typeOf(current.escrow)}-release`,
    };
  };
  const page = (rows: IndexedEscrow[], query: Filters): unknown => {
    const from = ((query.page ?? 1) - 1) * PAGE_SIZE;
    const found = sorted(
      rows.filter((candidate) => matches(candidate, query)),
      query,
    ).slice(from, from + PAGE_SIZE);
    return found.map((indexed) => row(indexed, query.validateOnChain));
  };

  return {
    '/helper/get-escrows-by-signer': (url) => {
      const { signer, ...query } = field.validate(bySigner, queryOf(url));
      return page(
        model.all().filter((candidate) => candidate.signer === signer),
        query,
      );
    },
    '/helper/get-escrows-by-role': (url) => {
      const { role, roleAddress, ...query } = field.validate(byRole, queryOf(url));
      return page(
        model.all().filter((candidate) => holdsRole(candidate, role, roleAddress)),
        query,
      );
    },
    '/helper/get-escrow-by-contract-ids': (url) => {
      const query = field.validate(byContract, queryOf(url));
      const rows = query['contractIds[]'].flatMap((id) => model.find(id) ?? []);
      return query.isActive === false ? [] : rows.map((indexed) => row(indexed, query.validateOnChain));
    },
    '/helper/get-multiple-escrow-balance': (url) => {
      const view = core.view();
      return field.validate(balancesOf, queryOf(url))['addresses[]'].map((address) => {
        const entry = view.contractData(address, ESCROW_KEY);
        if (entry === undefined) throw new ApiError(404, 'Escrow not found');
        return { address, balance: amountNumber(tokenBalance(view, readEscrow(entry.value).token, address)) };
      });
    },
  };
}
