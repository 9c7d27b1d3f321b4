/** `node fixtures-supervise.ts FOLDER`: a supervisor with one idle child; prints both process ids. Killed by a test. */
import { createSupervisor } from '../../cli/stack/processes.ts';

const supervisor = createSupervisor({ logDirectory: process.argv[2] ?? '' });
await supervisor.start({
  name: 'idle',
  command: process.execPath,
  args: ['-e', "process.on('SIGINT', () => {}); setInterval(() => {}, 1000)"],
  ready: () => Promise.resolve(),
  readyTimeoutMs: 5_000,
  stopSignal: 'SIGTERM',
  stopTimeoutMs: 1_000,
  restart: false,
});
process.stdout.write(`${supervisor.pid('idle')}\n`);
setInterval(() => undefined, 1_000);
