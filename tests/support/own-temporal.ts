/** A Temporal server of a test's own, on a file: it can be stopped, copied and put back. */
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../../cli/stack/ports.ts';
import { createSupervisor } from '../../cli/stack/processes.ts';
import { resolveTemporalBinary } from '../../cli/stack/temporal-binary.ts';
import { temporalProcess } from '../../cli/stack/temporal.ts';

/** @param folder for its data, copies and logs; the caller removes it */
export async function startOwnTemporal(folder: string) {
  const [binary, port] = await Promise.all([resolveTemporalBinary(process.env), freePort()]);
  const dataDirectory = join(folder, 'temporal');
  const saved = join(folder, 'saved');
  await mkdir(dataDirectory);
  const supervisor = createSupervisor({ logDirectory: join(folder, 'logs') });
  const start = () => supervisor.start(temporalProcess({ binary, port, uiPort: null, dataDirectory }));
  const replace = async (to: string, from: string): Promise<void> => {
    await supervisor.stop('temporal');
    await rm(to, { recursive: true, force: true });
    await cp(from, to, { recursive: true });
    await start();
  };
  await start();
  return {
    address: `127.0.0.1:${port}`,
    dataDirectory,
    save: () => replace(saved, dataDirectory),
    restore: () => replace(dataDirectory, saved),
    stop: () => supervisor.stopAll(),
  };
}
