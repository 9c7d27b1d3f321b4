/** jest globalSetup of the files that need a database. */
import { startPostgres } from './environment.ts';

// jest asks for a default export
export { startPostgres as default };
