/** The project's own source files, for the tests that keep the house. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface Source {
  /** relative to the project, e.g. `api/app.ts` */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

/** TypeScript files of a top folder; none when the folder does not exist. */
export async function sourcesOf(folder: string): Promise<Source[]> {
  const entries = await readdir(join(ROOT, folder), { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'));
  return Promise.all(
    files.map(async (entry) => {
      const absolute = join(entry.parentPath, entry.name);
      const text = await readFile(absolute, 'utf8');
      return { path: absolute.slice(ROOT.length), text, lines: text.split('\n') };
    }),
  );
}

/** `path:line: text` of every line of code that matches; comment lines do not count. */
export function matches(sources: readonly Source[], pattern: RegExp): string[] {
  return sources.flatMap(({ path, lines }) =>
    lines.flatMap((line, index) =>
      pattern.test(line) && !/^\s*(\/\/|\/?\*)/.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [],
    ),
  );
}
