/** Bodies and refusals of the control face. */
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { readBody } from '../core/http.ts';

export class ControlError extends Error {
  override readonly name = 'ControlError';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Answers one control route; what it returns is the body. */
export type Handler = (req: IncomingMessage) => unknown;

/** A request's JSON body; none reads as `{}`. @throws ControlError 400 or 422 */
export async function bodyOf<T>(req: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const text = (await readBody(req)).toString('utf8');
  let json: unknown;
  try {
    json = text === '' ? {} : JSON.parse(text);
  } catch {
    throw new ControlError(400, 'the body is not JSON');
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new ControlError(422, z.prettifyError(parsed.error));
  return parsed.data;
}
