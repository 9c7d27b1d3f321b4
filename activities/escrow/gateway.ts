/** Where envelopes are built: workflows cannot know the configuration, so who begins an operation tells them. */
import type { Deps } from '../context.ts';

export interface PreparedOn {
  /** task queue of the escrow gateway, when it is not the usual one */
  readonly prepare_on?: 'chain';
}

export const preparedOn = ({ gateway }: Pick<Deps, 'gateway'>): PreparedOn =>
  gateway.taskQueue === 'chain' ? { prepare_on: 'chain' } : {};
