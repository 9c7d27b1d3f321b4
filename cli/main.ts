/** The `orchestrator` command. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import type { RepairOptions } from './repairs.ts';
import type { DemoOptions } from './demo/demo.ts';
import type { FailedEscrowOptions } from './demo/failed-escrow.ts';
import type { DevOptions } from './dev.ts';
import type { RecoverOptions } from './recover.ts';
import type { ExportOptions } from './export.ts';
import type { ResetOptions } from './reset.ts';
import type { ReplayOptions } from './replay/replay.ts';
import type { WhyOptions } from './why/why.ts';
import { runApi, runMigrations, runWorker, type ServiceOptions } from './services.ts';

const program = new Command('orchestrator').description('Escrow orchestration for marketplaces on Stellar');

program
  .command('dev')
  .description('run everything on this machine until Ctrl-C; needs no configuration')
  .option('--fresh', 'temporary data, removed at the end')
  .addOption(
    new Option('--ports <choice>', 'the usual ports, or free ones').choices(['default', 'auto']).default('default'),
  )
  .option('--ready-file <path>', 'write addresses, keys and process ids as JSON when everything serves')
  // loaded on demand: api and worker have no use for the embedded stack
  .action(async (options: DevOptions) => (await import('./dev.ts')).runDev(options));

program
  .command('demo')
  .description('play a market day on a fresh stack, over HTTP, and compare the books with the chain')
  .option('--json', 'end with one JSON object on one line')
  .option('--input <file>', 'users and orders to play (docs/demo.md); default docs/demo-input.json')
  .option('--keep', 'leave everything running until Ctrl-C')
  .action(async (options: DemoOptions) => (await import('./demo/demo.ts')).runDemo(options));

program
  .command('demo:failed-escrow')
  .description('a funding that the provider forges: explained, replayed, repaired, released')
  .option('--json', 'end with one JSON object on one line')
  .action(async (options: FailedEscrowOptions) => (await import('./demo/failed-escrow.ts')).runFailedEscrow(options));

const ENV_FILE = ['--env-file <path>', 'file of NAME=value lines; variables that are set already win'] as const;
for (const [name, description, run] of [
  ['api', 'serve the HTTP API', runApi],
  ['worker', 'run workflows and activities', runWorker],
  ['migrate', 'bring the database schema up to date, as its owner (DIRECT_URL)', runMigrations],
] as const) {
  program
    .command(name)
    .description(description)
    .option(...ENV_FILE)
    .action((options: ServiceOptions) => run(options));
}

program
  .command('vault')
  .description('the keys that encrypt wallet keys')
  .command('rotate')
  .description('wrap all wallet keys anew with the first key of VAULT_KEYS; runs beside everything, repeatable')
  .option(...ENV_FILE)
  .action(async (options: ServiceOptions) => (await import('./vault.ts')).runVaultRotate(options));

const channels = program
  .command('channels')
  .description('accounts whose sequence numbers deploys and payments use: one transaction each per ledger');
channels
  .command('create')
  .description('bring their number up to N and wait until they are on chain; repeatable')
  .argument('<N>', 'how many there are afterwards')
  .option(...ENV_FILE)
  .action(async (text: string, options: ServiceOptions) => {
    const { CHANNELS_MAX, runChannelsCreate } = await import('./channels.ts');
    const count = /^\d{1,6}$/.test(text) ? Number.parseInt(text, 10) : 0;
    if (count < 1 || count > CHANNELS_MAX) throw new Error(`N is a whole number from 1 to ${CHANNELS_MAX}`);
    await runChannelsCreate(count, options);
  });
channels
  .command('list')
  .description('one JSON line each: address, status, transactions waiting')
  .option(...ENV_FILE)
  .action(async (options: ServiceOptions) => (await import('./channels.ts')).runChannelsList(options));

program
  .command('wallets')
  .description('wallets of users and marketplaces')
  .command('close')
  .description('end a wallet and take its reserves back; refused while money or an open order is on it')
  .argument('<wallet|user>', 'id of a wallet, or of a user')
  .option(...ENV_FILE)
  .action(async (id: string, options: ServiceOptions) => (await import('./wallets.ts')).runWalletsClose(id, options));

program
  .command('retry')
  .description('take parked steps up again: of one resource, or of all that are parked for a reason')
  .argument('[id]', 'id of an attention item or of its resource')
  .option('--reason <REASON>', 'all that are parked for it, e.g. ENVELOPE_REJECTED')
  .requiredOption('--note <text>', 'why, for the audit log')
  .option(...ENV_FILE)
  .action(async (id: string | undefined, options: RepairOptions) =>
    (await import('./repairs.ts')).runRepair('retry', id ?? null, options),
  );
program
  .command('give-up')
  .description('let a parked step go that nothing was signed for, with its compensation')
  .argument('<id>', 'id of an attention item or of its resource')
  .requiredOption('--note <text>', 'why, for the audit log')
  .option(...ENV_FILE)
  .action(async (id: string, options: RepairOptions) =>
    (await import('./repairs.ts')).runRepair('give_up', id, options),
  );

program
  .command('adopt')
  .description('a parked step was done: by this transaction, which the rows do not know')
  .argument('<id>', 'id of an attention item or of its resource')
  .requiredOption('--hash <transaction>', 'of the transaction, 64 hex digits')
  .requiredOption('--note <text>', 'why, for the audit log')
  .option(...ENV_FILE)
  .action(async (id: string, options: RepairOptions) => (await import('./repairs.ts')).runRepair('adopt', id, options));
program
  .command('payout-to')
  .description('pay another address than the one that cannot be paid: proposed by one person, carried out by another')
  .argument('<id>', 'id of an attention item or of its resource')
  .requiredOption('--address <G…>', 'who is paid instead')
  .requiredOption('--person <name>', 'who says so')
  .requiredOption('--note <text>', 'why, for the audit log')
  .option(...ENV_FILE)
  .action(async (id: string, options: RepairOptions) =>
    (await import('./repairs.ts')).runRepair('payout_to', id, options),
  );

program
  .command('why')
  .description('all about one resource on one screen: where it stands, what failed, what may be done')
  .argument('<id|hash>', 'of an order, dispute, payment, escrow, contract, attention item or transaction')
  .option('--json', 'one JSON object on one line')
  .option(...ENV_FILE)
  .action(async (id: string, options: WhyOptions) => (await import('./why/why.ts')).runWhy(id, options));

program
  .command('replay')
  .description('a workflow once more, offline, on the code of this checkout: its steps, and the one that fails')
  .argument('[id|hash]', 'what `why` takes, or the id of any workflow')
  .option('--from-file <file>', 'a history that `export` or the temporal command wrote')
  .option('--inspect', 'wait for a debugger on 127.0.0.1:9229')
  .option('--json', 'one JSON object on one line')
  .option(...ENV_FILE)
  .action(async (id: string | undefined, options: ReplayOptions) =>
    (await import('./replay/replay.ts')).runReplay(id, options),
  );
program
  .command('export')
  .description('the history of a workflow without personal data')
  .argument('<id|hash>', 'what `why` takes, or the id of any workflow')
  .option('--output <file>', 'default: standard output')
  .option(...ENV_FILE)
  .action(async (id: string, options: ExportOptions) => (await import('./export.ts')).runExport(id, options));

program
  .command('reset')
  .description('a workflow once more from the latest point at which nothing of it was under way; then it reads its row')
  .argument('<id|hash>', 'of an order, dispute, withdrawal or adjustment')
  .requiredOption('--note <text>', 'why, for the audit log')
  .option('--event <number>', 'an earlier point')
  .option('--dry-run', 'show the point, and those before it')
  .option(...ENV_FILE)
  .action(async (id: string, options: ResetOptions) => (await import('./reset.ts')).runReset(id, options));

program
  .command('ledger')
  .description('the books')
  .command('verify')
  .description('check every invariant of the books, and each balance with the chain; changes nothing')
  .option(...ENV_FILE)
  .action(async (options: ServiceOptions) => (await import('./coherence.ts')).runLedgerVerify(options));

const recovery = program
  .command('recover')
  .description('after Temporal or the database was lost or restored: start every missing workflow from its row')
  .option('--take-over', 'take the rows from a Temporal namespace that is lost')
  .option(...ENV_FILE)
  .action(async (options: RecoverOptions) => (await import('./recover.ts')).runRecover(options));
recovery
  .command('settle')
  .description('a transaction the rows did not know is put right in the books: whom it concerned may go on')
  .argument('<hash>')
  .requiredOption('--note <text>', 'what was done, for the audit log')
  .option(...ENV_FILE)
  .action(async (hash: string, options: ServiceOptions & { note: string }) =>
    (await import('./recover.ts')).runSettle(hash, options),
  );

program
  .command('sandbox')
  .description('run the Stellar sandbox alone; options are passed on (--port, --ledger-ms, --seed, --data)')
  .allowUnknownOption()
  .helpOption(false)
  .argument('[options...]')
  .action((options: string[]) => {
    const script = fileURLToPath(new URL('../sandbox/main.ts', import.meta.url));
    const child = spawn(process.execPath, [...process.execArgv, script, ...options], { stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
    child.once('exit', (code) => process.exit(code ?? 1));
  });

try {
  await program.parseAsync();
} catch (error) {
  // the message is made for the reader (ConfigError, a busy port, a missing binary); a stack would bury it
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
