/** jest globalTeardown. */
import { stopAll } from './environment.ts';

// jest asks for a default export
export { stopAll as default };
