/** The control face: money for free, the ledger clock, faults, and a look inside. Plain JSON. */
import type { IncomingMessage } from 'node:http';
import { Operation, StrKey } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import { formatAmount, parseAmount } from '../../domain/money.ts';
import type { SandboxCore } from '../core/core.ts';
import type { GenesisAccounts } from '../core/genesis.ts';
import { sendJson } from '../core/http.ts';
import { sdkAsset } from '../core/keys.ts';
import type { AssetId, Face, TransactionRecord } from '../core/types.ts';
import type { Faults } from '../faults/registry.ts';
import { faultRoutes } from '../faults/routes.ts';
import { bodyOf, ControlError, type Handler } from './body.ts';
import type { Clock } from './clock.ts';
import { type Dispenser, OperationFailed } from './dispenser.ts';

interface ControlDeps {
  readonly core: SandboxCore;
  readonly clock: Clock;
  readonly faults: Faults;
  readonly accounts: GenesisAccounts;
  readonly friendbot: Dispenser;
  readonly issuer: Dispenser;
  /** resets the network under the clock that runs */
  readonly startOver: () => void;
  /** what `GET /control/info` answers */
  readonly info: () => object;
  /** face → its switches, changed by `POST /control/<face>` */
  readonly switches: Record<string, object>;
}

const address = z.string().refine((text) => StrKey.isValidEd25519PublicKey(text), 'not a G… address');

function isPositive(text: string): boolean {
  try {
    return parseAmount(text) > 0n;
  } catch {
    return false;
  }
}

const amount = z.string().refine(isPositive, 'not a positive decimal amount of at most seven decimals');
const asset = z.string().regex(/^(native|[A-Za-z0-9]{1,12}:G[A-Z2-7]{55})$/, 'native or CODE:ISSUER');
const count = z.int().min(1).max(10_000);

const bodies = {
  faucet: z.strictObject({ address, amount, asset: asset.optional() }),
  close: z.strictObject({ count: count.default(1), close_time: z.int().min(0).optional() }),
  clock: z.strictObject({
    mode: z.enum(['interval', 'manual', 'on_demand']).optional(),
    ledger_ms: z.int().min(0).max(600_000).optional(),
  }),
  holder: z.strictObject({ address }),
  clawback: z.strictObject({ address, amount }),
  prune: z.strictObject({ oldest: z.int().min(1) }),
  capacity: z.strictObject({ classic: count.optional(), soroban: count.optional() }),
  nothing: z.strictObject({}),
};

const applied = ({ hash, ledger }: TransactionRecord): object => ({ transaction_hash: hash, ledger });

/** Money, trustline flags and clawback: real transactions, signed by the accounts of the genesis. */
function moneyRoutes({ core, accounts, friendbot, issuer }: ControlDeps): Record<string, Handler> {
  const give = (to: string, stroops: string, what: AssetId): Promise<TransactionRecord> => {
    if (what !== 'native' && what !== accounts.usdc)
      throw new ControlError(422, `asset: only native and ${accounts.usdc} can be had here`);
    const funding = what === 'native' && core.view().account(to) === undefined;
    const operation = funding
      ? Operation.createAccount({ destination: to, startingBalance: stroops })
      : Operation.payment({ destination: to, asset: sdkAsset(what), amount: stroops });
    return (what === 'native' ? friendbot : issuer).run(operation);
  };
  const flags = async (req: IncomingMessage, authorized: boolean): Promise<object> => {
    const { address: trustor } = await bodyOf(req, bodies.holder);
    const line = sdkAsset(accounts.usdc);
    return applied(await issuer.run(Operation.setTrustLineFlags({ trustor, asset: line, flags: { authorized } })));
  };
  return {
    'POST /faucet': async (req) => {
      const { address: to, amount: text, asset: what = accounts.usdc } = await bodyOf(req, bodies.faucet);
      return applied(await give(to, formatAmount(parseAmount(text)), what));
    },
    'POST /freeze': (req) => flags(req, false),
    'POST /unfreeze': (req) => flags(req, true),
    'POST /clawback': async (req) => {
      const { address: from, amount: text } = await bodyOf(req, bodies.clawback);
      const operation = Operation.clawback({ from, asset: sdkAsset(accounts.usdc), amount: text });
      return applied(await issuer.run(operation));
    },
  };
}

function ledgerRoutes({ core, clock, startOver }: ControlDeps): Record<string, Handler> {
  const clockBody = (): object => {
    const { mode, ledgerMs } = clock.settings();
    return { mode, ledger_ms: ledgerMs, latest_ledger: core.latest().sequence, closed_at: core.latest().closedAt };
  };
  return {
    'POST /ledgers/close': async (req) => {
      const { count: times, close_time: closeTime } = await bodyOf(req, bodies.close);
      for (let index = 0; index < times; index += 1) core.closeLedger(closeTime);
      const { sequence, hash, closedAt, transactions } = core.latest();
      return { ledger: sequence, hash, closed_at: closedAt, transactions: transactions.map((record) => record.hash) };
    },
    'GET /clock': clockBody,
    'POST /clock': async (req) => {
      const { ledger_ms: ledgerMs, mode } = await bodyOf(req, bodies.clock);
      const implied = ledgerMs === undefined ? clock.settings().mode : ledgerMs === 0 ? 'manual' : 'interval';
      const next = { mode: mode ?? implied, ledgerMs: ledgerMs ?? clock.settings().ledgerMs };
      if (next.mode === 'interval' && next.ledgerMs === 0)
        throw new ControlError(422, 'ledger_ms: must be positive for mode interval');
      clock.set(next);
      return clockBody();
    },
    'GET /dump': () => core.dump(),
    'POST /reset': async (req) => {
      await bodyOf(req, bodies.nothing);
      startOver();
      return { ledger: core.latest().sequence };
    },
    'POST /prune': async (req) => {
      core.prune((await bodyOf(req, bodies.prune)).oldest);
      return { oldest_ledger: core.oldest() };
    },
    'POST /capacity': async (req) => {
      const changed = await bodyOf(req, bodies.capacity);
      Object.assign(core.capacity, changed);
      return core.capacity;
    },
  };
}

/** A face's switches: each keeps the type it has. */
function switchRoutes(face: string, switches: object): Record<string, Handler> {
  const kinds = Object.entries(switches).map(([name, now]) => [
    name,
    typeof now === 'boolean' ? z.boolean() : z.int().min(0),
  ]);
  const body = z.strictObject(Object.fromEntries(kinds) as Record<string, z.ZodType>).partial();
  return {
    [`GET /${face}`]: () => switches,
    [`POST /${face}`]: async (req) => Object.assign(switches, await bodyOf(req, body)),
  };
}

/** Mounts the control routes under `/control`. */
export function createControl(deps: ControlDeps): Face {
  const routes: Record<string, Handler> = {
    'GET /info': () => deps.info(),
    'GET /health': () => ({ status: 'ok', ledger: deps.core.latest().sequence }),
    ...moneyRoutes(deps),
    ...ledgerRoutes(deps),
    ...faultRoutes(deps.faults),
  };
  for (const [face, switches] of Object.entries(deps.switches)) Object.assign(routes, switchRoutes(face, switches));
  return {
    prefix: '/control',
    handle: async (req, res, path) => {
      const handler = routes[`${req.method ?? 'GET'} ${path}`];
      if (handler === undefined)
        return sendJson(res, 404, { error: 'no such control route', routes: Object.keys(routes) });
      try {
        sendJson(res, 200, await handler(req));
      } catch (error) {
        if (error instanceof OperationFailed) return sendJson(res, 400, { error: error.message, code: error.code });
        if (error instanceof ControlError) return sendJson(res, error.status, { error: error.message });
        throw error;
      }
    },
  };
}
