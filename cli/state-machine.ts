/** `node cli/state-machine.ts`: writes docs/state-machine.md and .json from the machine. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { orderMachineJson, orderMachineMarkdown } from '../domain/order/diagram.ts';

const docs = join(import.meta.dirname, '..', 'docs');
await writeFile(join(docs, 'state-machine.md'), orderMachineMarkdown());
await writeFile(join(docs, 'state-machine.json'), orderMachineJson());
