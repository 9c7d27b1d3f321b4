/** What only the REST gateway can get wrong: statuses, shapes, and an index that does not know yet. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { EscrowCall } from '../../domain/chain.ts';
import { createTrustlessWork } from '../../providers/escrow/trustless-work.ts';
import { type Network, startNetwork, withServer } from './network.ts';

let net: Network;
beforeAll(async () => {
  net = await startNetwork();
});
afterAll(() => net.close());
afterEach(() => net.sandbox.faults.clear());

const release = (): EscrowCall => ({
  fn: 'release',
  type: 'SINGLE_RELEASE',
  source: net.address('operator'),
  contractId: net.info.factories.single,
  milestoneIndex: null,
});

describe('trouble', () => {
  test('an escrow the index does not know is REFUSED, and so is a hash it cannot find', async () => {
    const gateway = net.gateways['trustless-work'];
    await expect(gateway.build(release())).rejects.toMatchObject({ kind: 'REFUSED', status: 404 });
    await expect(gateway.nudge('0'.repeat(64))).rejects.toMatchObject({ kind: 'REFUSED', status: 404 });
  });

  test.each<[string, object, object]>([
    ['an outage', { name: 'http_503' }, { kind: 'UNAVAILABLE', status: 503 }],
    ['a rate limit', { name: 'http_429', retryAfter: 3 }, { kind: 'UNAVAILABLE', status: 429, retryAfterMs: 3_000 }],
    [
      'a rate limit without a hint',
      { name: 'http_429', retryAfter: null },
      { kind: 'UNAVAILABLE', retryAfterMs: null },
    ],
    ['a broken connection', { name: 'timeout', delayMs: 1 }, { kind: 'UNAVAILABLE', status: null }],
  ])('%s is UNAVAILABLE', async (_name, rule, expected) => {
    net.sandbox.faults.set(rule as Parameters<typeof net.sandbox.faults.set>[0]);
    await expect(net.gateways['trustless-work'].build(release())).rejects.toMatchObject({
      provider: 'trustless-work',
      ...expected,
    });
  });

  test.each<[string, number, unknown, object]>([
    ['FAILED with HTTP 200 (F11)', 200, { status: 'FAILED', message: 'no' }, { kind: 'REFUSED' }],
    ['FAILED beside an envelope', 201, { status: 'FAILED', unsignedTransaction: 'AAAA' }, { kind: 'REFUSED' }],
    ['success without an envelope (F12)', 201, { status: 'SUCCESS' }, { kind: 'MALFORMED' }],
    ['an empty envelope', 201, { status: 'SUCCESS', unsignedTransaction: '' }, { kind: 'MALFORMED' }],
    ['a list', 201, [], { kind: 'MALFORMED' }],
    ['a bad key', 401, { statusCode: 401 }, { kind: 'UNAVAILABLE', status: 401 }],
  ])('%s is no success', async (_name, status, body, expected) => {
    await withServer({ status, body: JSON.stringify(body) }, async (url) => {
      const gateway = createTrustlessWork({ url: `${url}/`, apiKey: 'our.key', beyond: net.gateways.direct });
      await expect(gateway.build(release())).rejects.toMatchObject({ name: 'ProviderError', ...expected });
    });
  });
});
