/** `orchestrator export`: a history to hand to somebody else, for `orchestrator replay --from-file`. */
import { writeFile } from 'node:fs/promises';
import type { ServiceOptions } from './services.ts';
import type { Json } from './replay/payloads.ts';
import { redactHistory } from './replay/redact.ts';
import { fetchLife } from './replay/source.ts';
import { withDeps } from './why/system.ts';

export interface ExportOptions extends ServiceOptions {
  /** default: standard output */
  readonly output?: string;
}

export async function runExport(id: string, options: ExportOptions): Promise<void> {
  const { workflowId, history } = await withDeps(options, (deps) => fetchLife(deps, id));
  const exported = `${JSON.stringify({ workflowId, history: redactHistory(history as Json) })}\n`;
  if (options.output === undefined) process.stdout.write(exported);
  else await writeFile(options.output, exported, { mode: 0o600 });
}
