/** The Stellar sandbox as a child process, and what of it goes into the configuration. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { ProcessSpec } from './processes.ts';

export interface SandboxOptions {
  readonly port: number;
  readonly dataDirectory: string;
  /** a ledger closes every so many milliseconds */
  readonly ledgerMs: number;
}

const infoSchema = z.object({
  network_passphrase: z.string(),
  asset: z.object({ code: z.string(), issuer: z.string() }),
  fee_wallet: z.string(),
  fee_wallet_as_argument: z.boolean(),
  factories: z.object({ single: z.string(), multi: z.string() }),
  wasm_hashes: z.object({ single: z.string(), multi: z.string() }),
});

export function sandboxUrl(port: number): string {
  return `http://127.0.0.1:${port}`;
}

export function sandboxProcess(options: SandboxOptions): ProcessSpec {
  const script = fileURLToPath(new URL('../../sandbox/main.ts', import.meta.url));
  const data = join(options.dataDirectory, 'sandbox.journal');
  const flags = ['--port', String(options.port), '--ledger-ms', String(options.ledgerMs), '--data', data];
  return {
    name: 'sandbox',
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', script, ...flags],
    ready: () => json(`${sandboxUrl(options.port)}/control/info`),
    readyTimeoutMs: 30_000,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 3_000,
    restart: true,
  };
}

/** Environment variables of the network that the sandbox serves. */
export async function sandboxEnvironment(url: string): Promise<Record<string, string>> {
  const info = infoSchema.parse(await json(`${url}/control/info`));
  return {
    STELLAR_NETWORK: 'sandbox',
    NETWORK_PASSPHRASE: info.network_passphrase,
    HORIZON_URL: `${url}/horizon`,
    SOROBAN_RPC_URL: `${url}/rpc`,
    TRUSTLESS_WORK_URL: `${url}/trustless-work`,
    TRUSTLESS_WORK_API_KEY: 'sandbox.sandbox',
    // The local network takes what comes.
    TRUSTLESS_WORK_REQUESTS_PER_MINUTE: '0',
    HORIZON_REQUESTS_PER_MINUTE: '0',
    SOROBAN_RPC_REQUESTS_PER_MINUTE: '0',
    TRUSTLESS_WORK_FEE_WALLET: info.fee_wallet,
    ESCROW_FACTORY_SINGLE: info.factories.single,
    ESCROW_FACTORY_MULTI: info.factories.multi,
    ESCROW_WASM_SINGLE: info.wasm_hashes.single,
    ESCROW_WASM_MULTI: info.wasm_hashes.multi,
    ESCROW_FEE_WALLET_ARGUMENT: String(info.fee_wallet_as_argument),
    ASSETS: `${info.asset.code}:${info.asset.issuer}`,
    SANDBOX_CONTROL_URL: url,
  };
}

/** Makes sure the account exists and has XLM, as an operator does once on a real network. */
export async function fundSponsor(url: string, address: string): Promise<void> {
  const account = await fetch(`${url}/horizon/accounts/${address}`);
  if (account.ok) return;
  const funded = await fetch(`${url}/horizon/friendbot?addr=${address}`);
  if (!funded.ok) throw new Error(`friendbot answered ${funded.status}: ${await funded.text()}`);
}

async function json(url: string): Promise<unknown> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return response.json();
}
