/** What one process asks of a provider in a minute, and what an attempt may ask at all. */
import { expect, test } from '@jest/globals';
import { createPatience } from '../../activities/escrow/patience.ts';
import { endpointNames } from '../../domain/providers.ts';
import { asAttempt, currentAttempt, timeLeft } from '../../providers/attempt.ts';
import { createBudget } from '../../providers/limits/budget.ts';

test('in any minute no more than the limit is granted, whenever the minute begins', async () => {
  let now = 0;
  const budget = createBudget(3, () => now);
  const granted: number[] = [];
  // A request every 7 seconds for ten minutes.
  for (; now < 600_000; now += 7_000) if ((await budget.take()) === 0) granted.push(now);
  for (const start of granted) {
    const within = granted.filter((at) => at >= start && at < start + 60_000);
    expect(within.length).toBeLessThanOrEqual(3);
  }
  expect(granted.length).toBeGreaterThan(25);
});

test('who comes too early is told when to come back, and gets it then', async () => {
  let now = 0;
  const budget = createBudget(2, () => now);
  expect(await budget.take()).toBe(0);
  now = 10_000;
  expect([await budget.take(), await budget.take()]).toEqual([0, 50_000]);
  now += 50_000;
  expect([await budget.take(), await budget.take()]).toEqual([0, 10_000]);
});

test('a limit of 0 is none', async () => {
  const budget = createBudget(0, () => 0);
  for (let asked = 0; asked < 1_000; asked += 1) expect(await budget.take()).toBe(0);
});

test('what an attempt asks has no more time than the attempt, through every layer between', async () => {
  expect([timeLeft(5_000), currentAttempt()]).toEqual([5_000, null]);
  await asAttempt({ owner: 'order/1/fund', priority: 4, limitMs: 1_000 }, async () => {
    await Promise.resolve();
    expect(timeLeft(5_000)).toBeLessThanOrEqual(1_000);
    expect(timeLeft(1)).toBe(1);
    expect(currentAttempt()).toMatchObject({ owner: 'order/1/fund', priority: 4 });
  });
  asAttempt({ owner: 'x', priority: 1, limitMs: -1 }, () => expect(timeLeft(5_000)).toBeLessThanOrEqual(0));
});

test('providers are named by kind and host, never by a path that may hold a key', () => {
  expect(endpointNames('rpc', ['https://a.example/v1/secret', 'https://b.example', 'https://a.example/other'])).toEqual(
    ['rpc a.example', 'rpc b.example', 'rpc a.example #2'],
  );
});

test('only refusals use up the patience with a refusal, and what is over begins anew', () => {
  const patience = createPatience();
  expect([patience.refused('a'), patience.refused('a'), patience.refused('b')]).toEqual([1, 2, 1]);
  patience.over('a');
  expect([patience.refused('a'), patience.refused('b')]).toEqual([1, 2]);
});
