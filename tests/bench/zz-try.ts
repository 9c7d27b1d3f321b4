import { withBenchStack } from '/work/main/tests/bench/support/stack.ts';
import { readyUser } from '/work/main/tests/support/flows.ts';
import { readFile, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
await withBenchStack({ logStatements: false }, async (b) => {
  const api = await b.createMarketplace();
  try { const [x,y]=await Promise.all([readyUser(api), readyUser(api)]); console.log('users ok', b.stack.env.PORT);
    for (let i=0;i<20;i++) await api('POST','/orders',{buyer_id:x.id,seller_id:y.id,amount:'1',title:'L'}); console.log('orders ok');
    const { Worker, NativeConnection } = await import('@temporalio/worker');
    console.log('imported'); await api('GET','/orders'); 
    const c = await NativeConnection.connect({address:b.temporal.address});
    await Worker.create({connection:c, namespace:b.temporal.namespace, taskQueue:'q', workflowsPath:'/work/main/tests/bench/support/bare-workflow.ts'});
    console.log('created'); await api('GET','/orders'); 
  } catch (e) {
    console.log('failed', e);
    const dir = dirname(b.postgresLog);
    for (const f of await readdir(dir)) console.log('==', f, (await readFile(join(dir, f), 'utf8')).slice(-1500));
  }
});
process.exit(0)
