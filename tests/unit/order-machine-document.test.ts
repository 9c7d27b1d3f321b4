import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { orderMachineJson, orderMachineMarkdown } from '../../domain/order/diagram.ts';

const documented = (name: string): string => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

test('the documented state machine is the machine: `node cli/state-machine.ts` writes it', () => {
  expect(documented('state-machine.md')).toBe(orderMachineMarkdown());
  expect(documented('state-machine.json')).toBe(orderMachineJson());
});
