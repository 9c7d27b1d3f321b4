/** A worker of its own process for `empty.ts`, as ours has one: forked with address, namespace and task queue. */
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';

const [address, namespace, taskQueue] = process.argv.slice(2);
if (address === undefined || namespace === undefined || taskQueue === undefined)
  throw new Error('arguments are missing');
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: ['SIGTERM'] });
const connection = await NativeConnection.connect({ address });
const workflowsPath = fileURLToPath(new URL('./empty.ts', import.meta.url));
const worker = await Worker.create({ connection, namespace, taskQueue, workflowsPath, maxCachedWorkflows: 1_000 });
const running = worker.run();
process.send?.('ready');
await running;
await connection.close();
