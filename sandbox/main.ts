/** The sandbox as a process: prints one JSON line when it serves, ends with 0 on SIGTERM or SIGINT. */
import { parseArgs } from 'node:util';
import { startSandbox } from './server.ts';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '8100' },
    host: { type: 'string', default: '127.0.0.1' },
    seed: { type: 'string' },
    'ledger-ms': { type: 'string', default: '1000' },
    data: { type: 'string' },
  },
});

function whole(name: 'port' | 'ledger-ms', max: number): number {
  const number = Number(values[name]);
  if (Number.isInteger(number) && number >= 0 && number <= max) return number;
  process.stderr.write(`--${name} must be a whole number from 0 to ${max}\n`);
  process.exit(2);
}

const sandbox = await startSandbox({
  port: whole('port', 65_535),
  host: values.host,
  ledgerMs: whole('ledger-ms', 600_000),
  ...(values.seed === undefined ? {} : { seed: values.seed }),
  ...(values.data === undefined ? {} : { dataFile: values.data }),
});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void sandbox.close().then(() => process.exit(0));
  });
}
process.stdout.write(`${JSON.stringify({ event: 'sandbox.ready', url: sandbox.url, pid: process.pid })}\n`);
