/** A worker's own health: is every queue it serves being polled? */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface HealthServer {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * @param states state of Temporal's worker by task queue; `RUNNING` is healthy
 * @param buildId of the workflow code; null where none is run
 */
export async function startHealth(
  address: { readonly host: string; readonly port: number },
  states: () => Record<string, string>,
  buildId: string | null,
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    if (request.url !== '/health') {
      response.writeHead(404).end();
      return;
    }
    const queues = states();
    const healthy = Object.values(queues).every((state) => state === 'RUNNING');
    response.writeHead(healthy ? 200 : 503, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ status: healthy ? 'ok' : 'stopping', build_id: buildId, task_queues: queues }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${address.host}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
