/** Ports of the embedded stack: the usual ones, or free ones. */
import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';

export interface Ports {
  readonly api: number;
  readonly health: number;
  readonly postgres: number;
  readonly temporal: number;
  readonly temporalUi: number;
  readonly sandbox: number;
}

export const DEFAULT_PORTS: Ports = {
  api: 3000,
  health: 3001,
  postgres: 5433,
  temporal: 7233,
  temporalUi: 8233,
  sandbox: 8000,
};

/** True when nothing listens on `port` of the loopback address. */
export async function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once('error', () => resolve(false));
  server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  return promise;
}

/**
 * A free port below the kernel's ephemeral range: there no outgoing connection can take it between this check and the
 * moment its server binds it, nor while a killed server is being started again.
 */
export async function freePort(taken: ReadonlySet<number> = new Set()): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = randomInt(15_000, 32_000);
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new Error('no free port between 15000 and 32000');
}

/** Free ports for a whole stack. */
export async function autoPorts(): Promise<Ports> {
  const ports: Record<string, number> = {};
  for (const name of Object.keys(DEFAULT_PORTS)) ports[name] = await freePort(new Set(Object.values(ports)));
  return { ...DEFAULT_PORTS, ...ports };
}

/**
 * Default ports, all checked before anything starts.
 * @throws Error with one message that names every busy port and the way out
 */
export async function defaultPorts(needed: readonly (keyof Ports)[]): Promise<Ports> {
  const busy: string[] = [];
  for (const name of needed) if (!(await isFree(DEFAULT_PORTS[name]))) busy.push(`${DEFAULT_PORTS[name]} (${name})`);
  if (busy.length > 0) throw new Error(`in use: port ${busy.join(', ')}. Stop what listens there, or add --ports auto`);
  return DEFAULT_PORTS;
}
