/** jest globalSetup of the files that need the whole stack. */
import { startTemporal } from './environment.ts';

// jest asks for a default export
export { startTemporal as default };
