import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { InputError, loadInput, parseInput, SAMPLE_INPUT } from '../../cli/demo/input.ts';

type Json = Record<string, unknown>;
const order = { ref: 'o', buyer: 'a', seller: 'b', amount: '10', title: 'T', play: 'steps' };
const market = { name: 'M', users: [{ ref: 'a', deposit: '10' }, { ref: 'b' }], orders: [order] };
const file = (changes: { order?: Json; market?: Json } = {}): string =>
  JSON.stringify({ marketplaces: [{ ...market, orders: [{ ...order, ...changes.order }], ...changes.market }] });

function refusal(text: string): string {
  try {
    parseInput(text, 'my.json');
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('the file was accepted');
}

test('the sample can be played, and plays every kind of order and the killed worker', async () => {
  const { marketplaces } = await loadInput(SAMPLE_INPUT);
  const orders = marketplaces.flatMap((plan) => plan.orders);
  expect(new Set(orders.map(({ play }) => play))).toEqual(new Set(['steps', 'auto', 'cancel', 'refused']));
  expect(orders.filter(({ kill_worker: kill }) => kill)).toHaveLength(1);
  expect(marketplaces).toHaveLength(2);
});

test('the file in the manual can be played', async () => {
  const page = await readFile(new URL('../../docs/demo.md', import.meta.url), 'utf8');
  const [, sample = ''] = /```json\n([^]*?)```/.exec(page) ?? [];
  expect(parseInput(sample, 'docs/demo.md').marketplaces).toHaveLength(1);
});

test.each([
  ['{', '$: is not JSON'],
  [file({ order: { amount: '1e3' } }), '$.marketplaces[0].orders[0].amount: must be a decimal string'],
  [file({ order: { amount: 10 } }), '$.marketplaces[0].orders[0].amount: '],
  [file({ order: { amount: '0' } }), '$.marketplaces[0].orders[0].amount: must be a decimal string, more than 0'],
  [file({ order: { amount: '999999999999' } }), '$.marketplaces[0].orders[0].amount: must be a decimal string'],
  [file({ order: { play: 'dance' } }), '$.marketplaces[0].orders[0].play: must be steps, auto, cancel or refused'],
  [file({ order: { buyer: 'zoe' } }), '$.marketplaces[0].orders[0].buyer: is no user of this marketplace'],
  [file({ order: { seller: 'a' } }), '$.marketplaces[0].orders[0].seller: must differ from the buyer'],
  [
    file({ order: { amount: '10.0000001' } }),
    '$.marketplaces[0].orders[0].amount: is more than the buyer’s deposit leaves',
  ],
  [
    file({ order: { play: 'refused' } }),
    '$.marketplaces[0].orders[0].amount: must be more than the buyer can ever have',
  ],
  [
    file({ order: { play: 'auto', kill_worker: true } }),
    '$.marketplaces[0].orders[0].kill_worker: needs "play": "steps"',
  ],
  [file({ market: { color: 'red' } }), '$.marketplaces[0]: '],
  [
    file({ market: { users: [{ ref: 'a', deposit: '10' }, { ref: 'a' }] } }),
    '$.marketplaces[0].users: the same ref twice',
  ],
])('a file that cannot be played is refused with the JSON path: %#', (text, message) => {
  expect(refusal(text)).toContain(message);
});
