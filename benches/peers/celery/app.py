import os, sys, time, json
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ts import mark
from celery import Celery, group
P=int(os.environ['QPORT']); N=int(os.environ['QN'])
app=Celery('app',broker=f'redis://127.0.0.1:{P}/0',backend=f'redis://127.0.0.1:{P}/0')
app.conf.worker_prefetch_multiplier=int(os.environ.get('QPRE','4'))
app.conf.task_acks_late=bool(int(os.environ.get('QLATE','0')))
app.conf.broker_connection_retry_on_startup=True
@app.task(name='noop')
def noop(i, enq, payload): mark(enq); return {'ok':True}
@app.task(name='hang')
def hang(enq): mark(enq); time.sleep(5000)
PAY='x'*100
if __name__=='__main__':
    if sys.argv[1]=='enq':
        with app.producer_pool.acquire(block=True) as pr:
            t=time.time()
            for i in range(N): noop.apply_async((i,0.0,PAY),producer=pr)
            a=time.time()-t
        t=time.time()
        for i in range(500): noop.delay(i,0.0,PAY)
        print(json.dumps(dict(enqueue_s=a,enqueue1_s=time.time()-t,n1=500)))
    elif sys.argv[1]=='crash': hang.delay(time.time()); print('{}')
    else:
        rt=[]; end=time.time()+float(os.environ['QLATS'])
        for i in range(int(os.environ['QLATN'])):
            if time.time()>end: break
            t=time.time(); j=noop.delay(i,t,PAY); j.get(timeout=20); rt.append((time.time()-t)*1e3); time.sleep(0.003)
        print(json.dumps(dict(rt=rt)))
