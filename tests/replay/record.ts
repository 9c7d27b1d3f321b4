/**
 * `npm run golden`: lives the scenarios on a real stack and records their histories. Until the first release they may be
 * recorded anew; from then on a recorded life is a promise, and new ones are added beside it: `npm run golden -- NAME…`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { type BenchStack, withBenchStack } from '../bench/support/stack.ts';
import { type Golden, HISTORIES, replay } from './golden.ts';
import { SCENARIOS } from './scenarios.ts';
import type { Scene } from './scene.ts';

type Recorded = Omit<Golden, 'calls'>;

/** Processes and machines of the recording are nobody's business. */
const anonymous = (key: string, value: unknown): unknown => {
  if (key === 'identity') return 'golden';
  // The frames of a failure name files of the machine it was recorded on.
  return key === 'stackTrace' ? '' : value;
};

async function recordOne(scene: Scene, name: string): Promise<Recorded> {
  const workflowId = await SCENARIOS[name]?.(scene);
  if (workflowId === undefined) throw new Error(`no scenario ${name}; there are ${Object.keys(SCENARIOS).join(', ')}`);
  const handle = scene.client.workflow.getHandle(workflowId);
  const { type } = await handle.describe();
  const history: unknown = JSON.parse(historyToJSON(await handle.fetchHistory()), anonymous);
  return { name, workflowType: type, workflowId, history };
}

async function recordAll(bench: BenchStack, names: readonly string[]): Promise<Recorded[]> {
  const connection = await Connection.connect({ address: bench.temporal.address });
  try {
    const client = new Client({ connection, namespace: bench.temporal.namespace });
    const scene: Scene = {
      api: await bench.createMarketplace(),
      client,
      namespace: bench.temporal.namespace,
      network: bench.stack.env['STELLAR_NETWORK'] ?? '',
      stack: bench.stack,
      createMarketplace: bench.createMarketplace,
      call: bench.call,
      control: bench.control,
    };
    const recorded: Recorded[] = [];
    for (const name of names) {
      try {
        recorded.push(await recordOne(scene, name));
        console.log(name);
      } catch (error) {
        // The others are still worth keeping; its faults are not.
        console.error(name, error);
        process.exitCode = 1;
        await bench.control('DELETE', '/control/faults');
      }
    }
    return recorded;
  } finally {
    await connection.close();
  }
}

const named = process.argv.slice(2);
const recorded = await withBenchStack({ logStatements: false }, (bench) =>
  recordAll(bench, named.length > 0 ? named : Object.keys(SCENARIOS)),
);
// What they called is what their own code calls when it replays them.
const { calls, errors } = await replay(recorded);
for (const { name, workflowType, workflowId, history } of recorded) {
  const error = errors.get(workflowId);
  if (error !== undefined) throw error;
  const golden: Golden = { name, workflowType, workflowId, calls: calls.get(workflowId) ?? [], history };
  await writeFile(join(HISTORIES, `${name}.json`), `${JSON.stringify(golden)}\n`);
}
