/** One screen for a person. */
import { styleText } from 'node:util';
import type { TransactionSeen, Why } from './report.ts';

/** Texts of providers are shown on a terminal: nothing in them may steer it. */
const safe = (text: string): string => text.replaceAll(/\p{Cc}+/gu, ' ');
const LABEL_WIDTH = 14;
const LONG = 300;

const short = (text: string): string => (text.length > LONG ? `${text.slice(0, LONG)}…` : text);
const line = (label: string, text: string): string => `${label.padEnd(LABEL_WIDTH)}${safe(text)}`;
const more = (text: string): string => line('', text);

export function renderWhy(why: Why): string[] {
  return [
    styleText('bold', `${why.resource.type} ${why.resource.id}`),
    ...statusLines(why),
    ...troubleLines(why),
    ...section('Transactions', why.transactions.flatMap(transactionLines)),
    ...section('Money', moneyLines(why)),
    ...section(
      'Recipients',
      why.trustlines.map(({ role, address, state }) => line(state, `${address}  ${role}`)),
    ),
    ...section('Repairs', why.repairs),
  ];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', styleText('bold', title), ...lines];
}

function statusLines({ row, request_id: requestId, gateway, next, workflow, workflow_id: id }: Why): string[] {
  const operation = row?.operation ?? null;
  const final = row?.final_status == null ? '' : ` (${row.final_status})`;
  const build = 'unavailable' in workflow ? null : workflow.build_id;
  return [
    ...(row === null ? [] : [line('status', `${row.status}${final}`)]),
    ...(operation === null
      ? []
      : [
          line(
            'operation',
            `${operation.verb} ${operation.status}, step ${operation.step ?? 'none'}, by ${operation.cause}`,
          ),
        ]),
    ...(row?.waiting_for == null ? [] : [line('waits for', row.waiting_for)]),
    line('next', next),
    line(
      'workflow',
      'unavailable' in workflow
        ? `${id}: ${workflow.unavailable}`
        : `${id} ${workflow.status}, ${workflow.history_events} events, run ${workflow.run_id}`,
    ),
    ...(build === null ? [] : [line('worker build', build)]),
    ...(gateway === null ? [] : [line('gateway', gateway)]),
    ...(requestId === null ? [] : [line('request', requestId)]),
  ];
}

function troubleLines({ attention, errors, differences }: Why): string[] {
  return [
    ...section(
      'Attention',
      attention.map(({ reason, since, id }) => line(id, ` ${reason} since ${since}`)),
    ),
    ...section(
      'Errors',
      errors.flatMap(({ at, raw, decoded }) => [
        safe(`${at}: ${short(raw)}`),
        ...(decoded === null ? [] : [more(`= ${decoded}`)]),
      ]),
    ),
    ...section(
      'The envelope is not what was asked for; nothing was signed',
      differences.flatMap(({ field, expected, actual }) => [
        safe(field),
        styleText('green', line('  asked for', short(expected))),
        styleText('red', line('  came', short(actual))),
      ]),
    ),
  ];
}

function transactionLines(transaction: TransactionSeen): string[] {
  const { chain } = transaction;
  const where =
    'unavailable' in chain
      ? `not looked up: ${chain.unavailable}`
      : chain.found
        ? `found in ledger ${chain.ledger}${chain.successful ? '' : ', FAILED there'}`
        : `absent at ledger ${chain.at_ledger}${chain.conclusive ? '' : ', where history does not go back far enough'}`;
  const ledgers = transaction.max_ledger === null ? '' : ` and before ledger ${transaction.max_ledger}`;
  const booked = transaction.status === 'CONFIRMED' && !transaction.booked ? ', NOT BOOKED' : '';
  return [
    line(transaction.status, `${transaction.purpose}, attempt ${transaction.attempt} (${transaction.id})${booked}`),
    more(`inner ${transaction.inner_hash}  ${where}`),
    ...transaction.outer_hashes.map((hash) => more(`outer ${hash}`)),
    more(`source ${transaction.source}  sequence ${transaction.sequence}  until ${transaction.valid_until}${ledgers}`),
  ];
}

function moneyLines({ escrow, contract_id: contractId, contract, pending_transfers: pending }: Why): string[] {
  return [
    ...(escrow === null ? [] : [line('escrow', `${escrow.id} ${escrow.type} ${escrow.status}`)]),
    ...(contractId === null ? [] : [line('contract', contractId)]),
    ...(contract === null
      ? []
      : 'unavailable' in contract
        ? [more(contract.unavailable)]
        : [
            more(
              `${contract.chain} on chain at ledger ${contract.ledger}, ${contract.books} in the books: ${contract.agree ? 'equal' : 'DIFFERENT'}`,
            ),
            more(`flags ${JSON.stringify(contract.flags)}`),
          ]),
    ...pending.map(({ code, amount, debit, credit, since }) =>
      line('pending', `${code} ${amount}: ${debit} → ${credit}, since ${since}`),
    ),
  ];
}
