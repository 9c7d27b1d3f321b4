/** One local network with all its faces, in this process: `startSandbox` for tests, `main.ts` for a process of its own. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deploymentOf, type ContractLine, genesisContracts, invokeHostFunction } from './contracts/index.ts';
import { type Clock, closeTimeOf, createClock, MANUAL_GENESIS_TIME, settingsOf } from './control/clock.ts';
import { createDispenser } from './control/dispenser.ts';
import { createFriendbot } from './control/friendbot.ts';
import { createControl } from './control/index.ts';
import { createCore, type SandboxCore } from './core/core.ts';
import { genesisAccounts, type GenesisAccounts, writeGenesis } from './core/genesis.ts';
import { sendJson } from './core/http.ts';
import { noJournal, openJournal } from './core/journal.ts';
import { creditOf, sdkAsset } from './core/keys.ts';
import type { Face } from './core/types.ts';
import { createActs } from './faults/acts.ts';
import { createFacedCore } from './faults/core.ts';
import { withFaults } from './faults/http.ts';
import { createFaults, type Faults } from './faults/registry.ts';
import { createTamper } from './faults/tamper.ts';
import { createHorizon, type Horizon } from './horizon/index.ts';
import { SUBMIT_TIMEOUT_MS } from './horizon/submit.ts';
import { createRpc } from './rpc/index.ts';
import { createTrustlessWork, type TrustlessWork } from './trustless-work/index.ts';

const DEFAULT_PASSPHRASE = 'Orchestrator Sandbox ; 2026';
export const DEFAULT_SEED = 'orchestrator-sandbox';

export interface SandboxOptions {
  /** 0 picks a free one */
  readonly port?: number;
  readonly host?: string;
  readonly seed?: string;
  /** milliseconds between ledgers; 0 closes by hand only */
  readonly ledgerMs?: number;
  /** journal; without it the network lives in memory */
  readonly dataFile?: string;
  readonly networkPassphrase?: string;
  /** how long Horizon's `POST /transactions` waits for the ledger; default 30 s */
  readonly submitTimeoutMs?: number;
  /** which builds of the escrow contracts Trustless Work deploys */
  readonly line?: ContractLine;
}

export interface Sandbox {
  /** e.g. `http://127.0.0.1:8100` */
  readonly url: string;
  readonly core: SandboxCore;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly accounts: GenesisAccounts;
  readonly horizon: Horizon;
  readonly trustlessWork: TrustlessWork;
  close(): Promise<void>;
}

/** Every face under its prefix; whatever one throws is a plain 500. */
function route(faces: readonly Face[]): (req: IncomingMessage, res: ServerResponse) => void {
  return (req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://sandbox.invalid');
    const face = faces.find(({ prefix }) => pathname === prefix || pathname.startsWith(`${prefix}/`));
    if (face === undefined) return sendJson(res, 404, { error: 'not found', faces: faces.map(({ prefix }) => prefix) });
    face.handle(req, res, pathname.slice(face.prefix.length) || '/').catch((error: unknown) => {
      process.stderr.write(`${JSON.stringify({ event: 'sandbox.error', path: pathname, error: String(error) })}\n`);
      if (res.headersSent) res.destroy();
      else sendJson(res, 500, { error: 'internal error' });
    });
  };
}

function listen(server: ReturnType<typeof createServer>, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/** The whole network without its HTTP: ledger, clock, faults and who exists from the start. */
function createNetwork(options: SandboxOptions) {
  const settings = settingsOf(options.ledgerMs ?? 1000);
  const journal = options.dataFile === undefined ? noJournal() : openJournal(options.dataFile);
  const origin = journal.found?.origin ?? {
    network_passphrase: options.networkPassphrase ?? DEFAULT_PASSPHRASE,
    seed: options.seed ?? DEFAULT_SEED,
    genesis_time: settings.mode === 'manual' ? MANUAL_GENESIS_TIME : closeTimeOf(settings, 0),
  };
  const accounts = genesisAccounts(origin.seed);
  const faults = createFaults(origin.seed, () => core.latest().sequence);
  const core: SandboxCore = createCore({
    origin,
    journal,
    invoke: invokeHostFunction,
    genesis: (view) => {
      writeGenesis(view, accounts);
      genesisContracts(view, { seed: origin.seed, usdc: accounts.usdc });
    },
    closeTime: (previous) => closeTimeOf(settings, previous),
  });
  const clock = createClock(core, settings);
  const closeByHand = (): void => {
    if (settings.mode === 'manual') core.closeLedger();
  };
  const friendbot = createDispenser(core, accounts.friendbot, closeByHand);
  const issuer = createDispenser(core, accounts.issuer, closeByHand);
  const deployment = deploymentOf({
    networkPassphrase: core.networkPassphrase,
    seed: origin.seed,
    line: options.line ?? 'mainnet',
    feeWallet: accounts.feeWallet.publicKey(),
  });
  const startOver = (): void => core.reset(settings.mode === 'manual' ? MANUAL_GENESIS_TIME : closeTimeOf(settings, 0));
  const faced = createFacedCore(core, faults);
  const acts = createActs({ core, issuer, usdc: accounts.usdc, startOver });
  const tamper = createTamper({ core, seed: origin.seed, usdc: accounts.usdc });
  const { doom } = core.disturbances;
  const faulty = { faults, faced, acts, tamper, doom };
  return { core, clock, faults, faulty, accounts, friendbot, issuer, deployment, journal, startOver };
}

type Network = ReturnType<typeof createNetwork>;

/** What a client must know to join: where everything is, and what exists there. */
function describe({ core, accounts, deployment }: Network, url: string): object {
  return {
    network_passphrase: core.networkPassphrase,
    horizon_url: `${url}/horizon`,
    rpc_url: `${url}/rpc`,
    trustless_work_url: `${url}/trustless-work`,
    friendbot_url: `${url}/horizon/friendbot`,
    asset: { ...creditOf(accounts.usdc), contract: sdkAsset(accounts.usdc).contractId(core.networkPassphrase) },
    fee_wallet: deployment.feeWallet,
    fee_wallet_as_argument: deployment.feeWalletAsArgument,
    factories: deployment.factories,
    wasm_hashes: deployment.wasmHashes,
  };
}

/** Starts a network. Resolves when all faces answer. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { port = 0, host = '127.0.0.1' } = options;
  const network = createNetwork(options);
  const { core, clock, faults, faulty, accounts, deployment, journal } = network;
  const { core: faced } = faulty.faced;
  const faces: Face[] = [];
  const server = createServer(route(faces));
  // Streams and kept-alive connections may outlive any request time limit.
  server.requestTimeout = 0;
  server.keepAliveTimeout = 60_000;
  const url = `http://${host}:${await listen(server, port, host)}`;
  const trustlessWork = createTrustlessWork({ core: faced, deployment });
  const horizon = createHorizon({
    core: faced,
    friendbot: createFriendbot(core, network.friendbot),
    submitTimeoutMs: options.submitTimeoutMs ?? SUBMIT_TIMEOUT_MS,
  });
  const rpc = createRpc({ core: faced, friendbotUrl: `${url}/horizon/friendbot` });
  const outside = [horizon, rpc, trustlessWork];
  const info = describe(network, url);
  faces.push(
    ...outside.map((face) => withFaults(face, faulty)),
    createControl({
      ...network,
      info: () => info,
      switches: { horizon: horizon.options, rpc: rpc.options, 'trustless-work': trustlessWork.options },
    }),
  );
  const close = async (): Promise<void> => {
    clock.stop();
    for (const face of outside) face.close?.();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    journal.close();
  };
  return { url, core, clock, faults, accounts, horizon, trustlessWork, close };
}
