/** What the demo plays: users and orders of some marketplaces, from a file. The format is described in docs/demo.md. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { AmountError, parseAmount } from '../../domain/money.ts';

/** The file that is used when none is named. */
export const SAMPLE_INPUT = fileURLToPath(new URL('../../docs/demo-input.json', import.meta.url));

// a wrong amount aborts: the sums of checkMarketplace need amounts
const amount = z
  .string()
  .refine(isAmount, { error: 'must be a decimal string, more than 0, with at most 7 decimals', abort: true });
const ref = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be letters, digits, _ and -, at most 64');

const userSchema = z.strictObject({ ref, deposit: amount.optional() });
const orderSchema = z.strictObject({
  ref,
  buyer: ref,
  seller: ref,
  amount,
  title: z.string().min(1).max(100),
  play: z.enum(['steps', 'auto', 'cancel', 'refused'], { error: 'must be steps, auto, cancel or refused' }),
  kill_worker: z.boolean().optional(),
});
const marketplaceSchema = z
  .strictObject({
    name: z.string().min(1).max(100),
    platform_fee_bps: z.int().min(0).max(9_900).optional(),
    users: z.array(userSchema).min(2).max(50),
    orders: z.array(orderSchema).min(1).max(50),
  })
  .superRefine(checkMarketplace);
const inputSchema = z
  .strictObject({ marketplaces: z.array(marketplaceSchema).min(1).max(10) })
  .superRefine((input, context) => {
    const killers = input.marketplaces.flatMap(({ orders }, m) =>
      orders.flatMap((order, o) =>
        order.kill_worker === true ? [['marketplaces', m, 'orders', o, 'kill_worker']] : [],
      ),
    );
    for (const path of killers.slice(1))
      context.addIssue({ code: 'custom', path, message: 'only one order may kill the worker' });
  });

export type DemoInput = z.output<typeof inputSchema>;
export type DemoMarketplace = DemoInput['marketplaces'][number];
export type DemoOrder = DemoMarketplace['orders'][number];

/** A file that cannot be played. The message has one line per fault, each with its JSON path. */
export class InputError extends Error {
  override readonly name = 'InputError';
}

/** Reads and checks the file. @throws InputError */
export async function loadInput(path: string): Promise<DemoInput> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new InputError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  });
  return parseInput(text, path);
}

/** @param name of the file, for messages */
export function parseInput(text: string, name: string): DemoInput {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${name}: $: is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const result = inputSchema.safeParse(json);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => `${jsonPath(issue.path)}: ${issue.message}`);
  throw new InputError(
    [`${name} cannot be played (format: docs/demo.md)`, ...faults.map((fault) => `  ${fault}`)].join('\n'),
  );
}

function isAmount(text: string): boolean {
  try {
    return parseAmount(text) > 0n;
  } catch (error) {
    if (error instanceof AmountError) return false;
    throw error;
  }
}

function jsonPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) => (typeof part === 'number' ? `${text}[${part}]` : `${text}.${String(part)}`),
    '$',
  );
}

interface Checked {
  readonly users: readonly { ref: string; deposit?: string | undefined }[];
  readonly orders: readonly {
    ref: string;
    buyer: string;
    seller: string;
    amount: string;
    play: string;
    kill_worker?: boolean | undefined;
  }[];
}

function checkMarketplace({ users, orders }: Checked, context: z.RefinementCtx): void {
  const fault = (path: (string | number)[], message: string): void =>
    context.addIssue({ code: 'custom', path, message });
  const left = new Map(users.map((user) => [user.ref, user.deposit === undefined ? 0n : parseAmount(user.deposit)]));
  if (left.size !== users.length) fault(['users'], 'the same ref twice');
  if (new Set(orders.map((order) => order.ref)).size !== orders.length) fault(['orders'], 'the same ref twice');
  for (const [index, order] of orders.entries()) {
    const at = (field: string): (string | number)[] => ['orders', index, field];
    for (const party of ['buyer', 'seller'] as const)
      if (!left.has(order[party])) fault(at(party), 'is no user of this marketplace');
    if (order.buyer === order.seller) fault(at('seller'), 'must differ from the buyer');
    if (order.kill_worker === true && order.play !== 'steps') fault(at('kill_worker'), 'needs "play": "steps"');
    const rest = (left.get(order.buyer) ?? 0n) - parseAmount(order.amount);
    if (order.play !== 'refused') left.set(order.buyer, rest);
    if (order.play !== 'refused' && rest < 0n) fault(at('amount'), 'is more than the buyer’s deposit leaves');
  }
  for (const [index, order] of orders.entries())
    if (order.play === 'refused' && parseAmount(order.amount) <= receipts({ users, orders }, order.buyer))
      fault(['orders', index, 'amount'], 'must be more than the buyer can ever have, to be refused');
}

/** Everything that can reach a user: his deposit and what he sells. */
function receipts({ users, orders }: Checked, user: string): bigint {
  const deposit = users.find(({ ref: name }) => name === user)?.deposit;
  const sales = orders.filter(({ seller, play }) => seller === user && play !== 'refused' && play !== 'cancel');
  return sales.reduce(
    (sum, order) => sum + parseAmount(order.amount),
    deposit === undefined ? 0n : parseAmount(deposit),
  );
}
