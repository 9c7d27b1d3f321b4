/** The log: one event per line with a stable `event` name and ids as fields; no prose, no secrets. */
import pino from 'pino';

/** Fields of one event; ids, counts, reasons. Never a request body, an envelope or a key. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** The same log with fields that every line carries. */
  with(fields: LogFields): Log;
}

/** Last line of defence: fields of these names are never written, wherever they come from. */
const SECRET_FIELDS = ['authorization', 'api_key', 'apiKey', 'secret', 'password', 'envelope', 'signed_envelope'];

/**
 * A log for one process; JSON lines on standard output (or `destination`).
 * @param options.process name of the process, e.g. `api`
 */
export function createLog(options: { level: string; process: string; destination?: pino.DestinationStream }): Log {
  const logger = pino(
    {
      level: options.level,
      base: { process: options.process, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      messageKey: 'event',
      errorKey: 'error',
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
    },
    options.destination ?? pino.destination({ fd: 1, sync: true }),
  );
  return wrap(logger);
}

function wrap(logger: pino.Logger): Log {
  return {
    debug: (event, fields = {}) => logger.debug(fields, event),
    info: (event, fields = {}) => logger.info(fields, event),
    warn: (event, fields = {}) => logger.warn(fields, event),
    error: (event, fields = {}) => logger.error(fields, event),
    with: (fields) => wrap(logger.child(fields)),
  };
}
