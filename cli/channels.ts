/** `orchestrator channels`: the accounts whose sequence numbers deploys, provisioning and payments use. */
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { channelLoad } from '../activities/chain/sources.ts';
import { type Sql, inTransaction, pool } from '../db/sql.ts';
import { ensureChannels } from '../worker/boot.ts';
import { type ServiceOptions, withSystem } from './services.ts';

export interface Channel {
  readonly wallet_id: string;
  readonly status: string;
  /** null before its key is made */
  readonly address: string | null;
  /** transactions that use it, or wait for it */
  readonly waiting: number;
}

/** Far more than an account can be waited for usefully; a transaction creates eighteen. */
export const CHANNELS_MAX = 1_000;
const PATIENCE_MS = 10 * 60_000;
const POLL_MS = 500;

async function listChannels(db: Sql): Promise<Channel[]> {
  const { rows } = await sql<Channel>`
    select w.id as wallet_id, w.status, w.address, (${channelLoad()})::int as waiting from wallets w
    where w.kind = 'CHANNEL' and w.status <> 'CLOSED' order by w.id`.execute(db);
  return rows;
}

/**
 * Brings the number of channel accounts up to `count` and waits until all of them are on chain. Repeatable: what was cut
 * off is found in the rows.
 */
export async function runChannelsCreate(count: number, options: ServiceOptions): Promise<void> {
  await withSystem(options, async ({ orm, workflows }) => {
    const added = await inTransaction(orm, (trx) => ensureChannels(trx, count));
    await workflows.provisionWallets();
    for (const end = Date.now() + PATIENCE_MS; ; await delay(POLL_MS)) {
      const channels = await listChannels(pool(orm));
      const waiting = channels.filter(({ status }) => status !== 'READY').length;
      if (waiting === 0) return print({ event: 'channels.ready', added, channels });
      if (Date.now() > end) throw new Error(`${waiting} channel accounts are not there yet: does a worker run?`);
    }
  });
}

export async function runChannelsList(options: ServiceOptions): Promise<void> {
  await withSystem(options, async ({ orm }) => {
    for (const channel of await listChannels(pool(orm))) print(channel);
  });
}

const print = (line: unknown): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
