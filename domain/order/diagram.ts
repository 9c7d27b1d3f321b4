/** The order's state diagram in Mermaid, generated from the machine so that it cannot differ from it. */
import { TRANSITIONS } from './machine.ts';

export function orderDiagram(): string {
  const lines = new Set<string>(['  [*] --> ORDER_CREATED: create']);
  for (const { from, verb, through, ifDead, alsoBy } of TRANSITIONS) {
    const label = [verb, ...alsoBy].join(' / ');
    let previous: string = from;
    through.forEach((status, index) => {
      lines.add(`  ${previous} --> ${status}${index === 0 ? `: ${label}` : ''}`);
      previous = status;
    });
    const dead = through.find((status) => status !== from && status !== 'CLOSED');
    if (ifDead !== null && dead !== undefined && through[0] === dead && dead !== 'IN_PROGRESS')
      lines.add(`  ${dead} --> ${ifDead}: proved dead`);
  }
  return ['stateDiagram-v2', ...lines, '  CLOSED --> [*]', ''].join('\n');
}
