/** What a user sees of the ledger: balance and statement. Reads only; pass any connection. */
import type { Resource, Sql, TransferCode } from './post.ts';

export interface Balance {
  /** stroops; `total = available + reserved` */
  readonly available: bigint;
  readonly reserved: bigint;
  /** paid in as buyer and not settled yet */
  readonly inEscrow: bigint;
  readonly total: bigint;
}

export interface StatementEntry {
  readonly id: string;
  /** position in the ledger: the cursor */
  readonly seq: bigint;
  readonly type: TransferCode;
  readonly direction: 'CREDIT' | 'DEBIT' | 'HOLD' | 'UNHOLD';
  /** stroops, > 0 */
  readonly amount: bigint;
  readonly asset: string;
  readonly availableAfter: bigint;
  readonly resource: Resource;
  readonly transactionHash: string | null;
  readonly createdAt: Date;
}

export declare function balance(
  sql: Sql,
  input: { marketplaceId: string; userId: string; asset: string },
): Promise<Balance>;

export declare function statement(
  sql: Sql,
  input: { marketplaceId: string; userId: string; asset: string; cursor?: bigint; limit: number },
): Promise<{ entries: StatementEntry[]; hasMore: boolean }>;
