/** What the demo says at its end. */
import { styleText } from 'node:util';
import type { Verification } from '../../db/ledger/verify.ts';
import type { Stack } from '../stack/stack.ts';

export interface OrderResult {
  readonly ref: string;
  readonly id: string | null;
  readonly status: string | null;
  readonly final_status: string | null;
  readonly as_expected: boolean;
}

/** Amounts as decimal strings; `books` is what the ledger says of the wallet, `chain` what the network says. */
export interface BalanceRow {
  readonly marketplace: string;
  readonly user: string;
  readonly available: string;
  readonly reserved: string;
  readonly in_escrow: string;
  readonly books: string;
  readonly chain: string;
  readonly difference: string;
}

export interface Outcome {
  readonly failure: unknown;
  readonly seconds: number;
  readonly stack: Stack | null;
  /** problem documents of refusals that were expected */
  readonly problems: readonly unknown[];
  readonly orders: readonly OrderResult[];
  readonly balances: readonly BalanceRow[];
  readonly verification: Verification | null;
  readonly asExpected: boolean;
  /** the object of `--json` */
  readonly json: Readonly<Record<string, unknown>>;
}

export function reportLines(outcome: Outcome): string[] {
  const { failure, stack, verification, seconds } = outcome;
  const lines: string[] = [];
  if (outcome.problems.length > 0)
    lines.push(
      '',
      'Refused, with its problem document:',
      ...outcome.problems.map((problem) => JSON.stringify(problem, null, 2)),
    );
  if (outcome.orders.length > 0)
    lines.push(
      '',
      ...table(
        outcome.orders.map((order) => ({
          order: order.ref,
          id: order.id ?? '',
          status: order.status ?? 'not created',
          final_status: order.final_status ?? '',
          '': order.as_expected ? '✔' : '✘ unexpected',
        })),
      ),
    );
  if (outcome.balances.length > 0)
    lines.push(
      '',
      ...table(
        outcome.balances.map((row) => ({ ...row, difference: row.difference === '0' ? '✔' : `✘ ${row.difference}` })),
      ),
    );
  if (verification !== null) {
    const { checked, violations, unsettled } = verification;
    lines.push(
      '',
      `coherent: ${verification.coherent ? 'yes' : 'no'}  (L1–L9 over ${checked.accounts} accounts, ${checked.transfers} transfers, ${checked.chain} balances on chain)`,
    );
    for (const { invariant, detail } of [...violations, ...unsettled])
      lines.push(`  ${invariant} ${JSON.stringify(detail)}`);
  }
  if (failure !== undefined)
    lines.push('', styleText('red', failure instanceof Error ? failure.message : String(failure)));
  if (stack !== null)
    lines.push(
      '',
      `Temporal UI  ${stack.temporalUiUrl ?? stack.env['TEMPORAL_ADDRESS']}`,
      `API          ${stack.apiUrl}/docs`,
      'They end with the demo; `npm run demo -- --keep` leaves them running.',
    );
  lines.push(`${seconds.toFixed(1)} s`);
  return lines;
}

/** Columns as wide as their widest cell; amounts to the right. */
function table(rows: readonly Readonly<Record<string, string>>[]): string[] {
  const columns = Object.keys(rows[0] ?? {});
  const widths = columns.map((column) => Math.max(column.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const isAmount = columns.map((column) => rows.every((row) => /^-?[\d.]+$/.test(row[column] ?? '')));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (isAmount[index] ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0)))
      .join('  ')
      .trimEnd();
  const titles = line(columns.map((column) => column.replaceAll('_', ' ')));
  return [styleText('bold', titles), ...rows.map((row) => line(columns.map((column) => row[column] ?? '')))];
}
