/** `orchestrator why`: everything about one resource on one screen. Reads, and changes nothing. */
import { pool } from '../../db/sql.ts';
import type { ServiceOptions } from '../services.ts';
import { renderWhy } from './render.ts';
import { explain } from './report.ts';
import { findSubject } from './subject.ts';
import { withDeps } from './system.ts';

export interface WhyOptions extends ServiceOptions {
  readonly json?: boolean;
}

export async function runWhy(needle: string, options: WhyOptions): Promise<void> {
  await withDeps(options, async (deps) => {
    const subject = await findSubject(pool(deps.orm), needle);
    if (subject === null) throw new Error(`no row knows ${needle}`);
    const why = await explain(deps, subject);
    process.stdout.write(options.json === true ? `${JSON.stringify(why, plain)}\n` : `${renderWhy(why).join('\n')}\n`);
  });
}

const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? value.toString() : value);
