/** The readable reference: the OpenAPI document in Swagger UI, served from here, and one page per reason. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { z } from 'zod';
import { REASON_TABLE, isReason } from '../../domain/reasons.ts';
import { Refusal } from '../../domain/refusal.ts';
import { type Answer, BASE_PATH, type Route, route } from '../route.ts';
import { ADVICE } from './reasons.ts';

const require = createRequire(import.meta.url);

const STYLE =
  'font-family: system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; line-height: 1.5';
const page = (title: string, body: string): string =>
  `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
  `<title>${title}</title></head>${body}</html>`;

const REFERENCE = page(
  'API reference',
  `<link rel="stylesheet" href="${BASE_PATH}/docs/assets/swagger-ui.css"><body style="margin: 0"><div id="reference"></div>` +
    `<script src="${BASE_PATH}/docs/assets/swagger-ui-bundle.js"></script>` +
    `<script src="${BASE_PATH}/docs/assets/reference.js"></script></body>`,
);
const START = `SwaggerUIBundle({ url: '${BASE_PATH}/openapi.json', dom_id: '#reference', deepLinking: true });\n`;

const ASSETS: Readonly<Record<string, { readonly type: string; read(): string }>> = {
  'reference.js': { type: 'text/javascript; charset=utf-8', read: () => START },
  'swagger-ui.css': { type: 'text/css; charset=utf-8', read: () => packaged('swagger-ui.css') },
  'swagger-ui-bundle.js': { type: 'text/javascript; charset=utf-8', read: () => packaged('swagger-ui-bundle.js') },
};
const packaged = (file: string): string => readFileSync(require.resolve(`swagger-ui-dist/${file}`), 'utf8');

const html = (body: string): Answer => ({ status: 200, body, headers: { 'content-type': 'text/html; charset=utf-8' } });

function reasonPage(code: string): Answer {
  if (!isReason(code)) throw new Refusal('NOT_FOUND', 'there is no such reason');
  const { status, title, retryable } = REASON_TABLE[code];
  const again = retryable
    ? 'A program may repeat the same request with the same key.'
    : 'Repeating changes nothing by itself.';
  return html(
    page(
      code,
      `<body style="${STYLE}"><h1>${code}</h1><p><strong>${status}</strong> ${title}.</p><p>${ADVICE[code]}</p><p>${again}</p></body>`,
    ),
  );
}

const common = { method: 'get', tag: 'docs', access: { keys: 'public' }, reasons: [] } as const;

/** @param document what `GET /openapi.json` answers; asked for at each request, because it describes these routes too */
export const docsRoutes = (document: () => unknown): Route[] => [
  route({
    ...common,
    path: '/openapi.json',
    summary: 'This document',
    answers: { 200: 'application/json' },
    handle: async () => ({ status: 200, body: document() }),
  }),
  route({
    ...common,
    path: '/docs',
    summary: 'This document as a readable page',
    answers: { 200: 'text/html' },
    handle: async () => html(REFERENCE),
  }),
  route({
    ...common,
    path: '/docs/assets/:file',
    summary: 'Parts of the readable page',
    params: z.object({ file: z.string() }),
    answers: { 200: 'text/plain' },
    reasons: ['NOT_FOUND'],
    handle: async (call) => {
      const asset = Object.hasOwn(ASSETS, call.params.file) ? ASSETS[call.params.file] : undefined;
      if (asset === undefined) throw new Refusal('NOT_FOUND', 'there is nothing at this path');
      return {
        status: 200,
        body: asset.read(),
        headers: { 'content-type': asset.type, 'cache-control': 'max-age=3600' },
      };
    },
  }),
  route({
    ...common,
    path: '/docs/errors/:code',
    summary: 'What a problem means and what to do about it',
    params: z.object({ code: z.string() }),
    answers: { 200: 'text/html' },
    reasons: ['NOT_FOUND'],
    handle: async (call) => reasonPage(call.params.code),
  }),
];
