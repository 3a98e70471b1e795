"""Starts a Redis of its own for each run, and accounts for CPU, memory, commands and latency.
A peer is three commands: one that fills the queue, one that works, one that measures latency."""
import os, sys, json, time, struct, subprocess, signal, socket, shutil, tempfile, statistics

CLK = os.sysconf('SC_CLK_TCK')

class Redis:
    def __init__(self, port, aof=False):
        self.port, self.aof = port, aof
        self.dir = tempfile.mkdtemp(prefix='qredis-')
        args = ['redis-server', '--bind', '127.0.0.1', '--port', str(port), '--save', '', '--dir', self.dir,
                '--logfile', self.dir + '/log', '--daemonize', 'no', '--maxmemory-policy', 'noeviction',
                '--appendonly', 'yes' if aof else 'no', '--appendfsync', aof if isinstance(aof, str) else 'everysec']
        self.p = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                if self.cmd('PING') == b'+PONG\r\n': break
            except OSError: pass
            time.sleep(0.02)
    def cmd(self, *a):
        s = socket.create_connection(('127.0.0.1', self.port))
        m = b'*%d\r\n' % len(a) + b''.join(b'$%d\r\n%s\r\n' % (len(x.encode()), x.encode()) for x in a)
        s.sendall(m)
        f = s.makefile('rb'); l = f.readline()
        if l[:1] == b'$':
            n = int(l[1:]); d = f.read(n + 2)[:-2] if n >= 0 else b''
            s.close(); return d
        s.close(); return l
    def info(self, sec='all'):
        d = {}
        for l in self.cmd('INFO', sec).decode().splitlines():
            if ':' in l and not l.startswith('#'):
                k, v = l.split(':', 1); d[k] = v
        return d
    def snap(self):
        i = self.info('everything')
        cs = {k[8:]: int(v.split('calls=')[1].split(',')[0]) for k, v in i.items() if k.startswith('cmdstat_')}
        return dict(cmds=cs, reads=int(i.get('total_reads_processed', 0)), net_in=int(i['total_net_input_bytes']), net_out=int(i['total_net_output_bytes']),
                    cpu=float(i['used_cpu_sys']) + float(i['used_cpu_user']), mem=int(i['used_memory']), aof=int(i.get('aof_current_size', 0) or 0), t=time.time())
    def stop(self):
        self.p.terminate(); self.p.wait(); shutil.rmtree(self.dir, ignore_errors=True)

def diff(a, b):
    skip = {'info', 'ping', 'config|get', 'client|setinfo', 'client|setname', 'command', 'hello'}
    c = {k: b['cmds'][k] - a['cmds'].get(k, 0) for k in b['cmds'] if k not in skip}
    c = {k: v for k, v in c.items() if v > 0}
    return dict(cmds=c, total=sum(c.values()), reads=b['reads'] - a['reads'], cpu=b['cpu'] - a['cpu'], net_in=b['net_in'] - a['net_in'], net_out=b['net_out'] - a['net_out'], aof=b['aof'] - a['aof'], t=b['t'] - a['t'])

def tree(pid):
    out = [pid]
    try:
        for t in os.listdir(f'/proc/{pid}/task'):
            for c in open(f'/proc/{pid}/task/{t}/children').read().split(): out += tree(int(c))
    except OSError: pass
    return out

def cpu_rss(pid):
    cpu = rss = 0
    for p in tree(pid):
        try:
            f = open(f'/proc/{p}/stat').read().rsplit(')', 1)[1].split()
            cpu += (int(f[11]) + int(f[12]) + int(f[13]) + int(f[14])) / CLK
            for l in open(f'/proc/{p}/status'):
                if l.startswith('VmHWM'): rss += int(l.split()[1]) / 1024
        except OSError: pass
    return cpu, rss

def read_ts(d):
    """handlers append 16-byte (enqueue_ts, run_ts) doubles to files in d"""
    r = []
    for f in os.listdir(d):
        b = open(os.path.join(d, f), 'rb').read()
        n = len(b) // 16
        r += [struct.unpack_from('dd', b, i * 16) for i in range(n)]
    return r

def count_ts(d):
    return sum(os.path.getsize(os.path.join(d, f)) for f in os.listdir(d)) // 16

def pct(xs, p):
    xs = sorted(xs); return xs[min(len(xs) - 1, int(len(xs) * p))] if xs else None

def kill(p):
    for sig, w in ((signal.SIGTERM, 8), (signal.SIGKILL, 5)):
        if p.poll() is not None: return
        try: os.killpg(p.pid, sig)
        except OSError: pass
        try: p.wait(w)
        except subprocess.TimeoutExpired: pass

def run_peer(peer, enqueue, worker, latency, n=20000, port=7390, aof=False, env=None, timeout=200, lat_n=300, lat_s=25, note=None, cwd=None):
    """enqueue/worker/latency: argv lists. Env passed: QPORT, QDIR (ts files), QN.
    enqueue prints JSON {enqueue_s, enqueue1_s?, n1?}; worker's handler appends (ts_enq, ts_run); latency prints JSON {rt:[ms...]}"""
    r = Redis(port, aof); d = tempfile.mkdtemp(prefix='qts-')
    e = dict(os.environ, QPORT=str(port), QDIR=d, QN=str(n), QLATN=str(lat_n), QLATS=str(lat_s), **(env or {}))
    out = dict(peer=peer, n=n, redis='aof-everysec' if aof else 'no-persist')
    if note: out['note'] = note
    w = None
    log = open(os.path.join(os.environ.get('TMPDIR','/tmp'), f'{peer}.log'), 'ab')
    try:
        a = r.snap()
        x = subprocess.run(enqueue, env=e, capture_output=True, timeout=timeout, cwd=cwd)
        if x.returncode: raise SystemExit(f'{peer} enqueue failed: {x.stderr.decode()[-2000:]}')
        j = json.loads(x.stdout.decode().strip().splitlines()[-1])
        b = r.snap(); en = diff(a, b)
        out['enqueue_per_s'] = round(n / j['enqueue_s'])
        if 'enqueue1_s' in j: out['enqueue_one_by_one_per_s'] = round(j['n1'] / j['enqueue1_s'])
        tot = n + j.get('n1', 0)
        out['enq_cmds_per_job'] = round(en['total'] / tot, 2)
        out['queued_bytes_per_job'] = round((b['mem'] - a['mem']) / tot)
        # drain
        w = subprocess.Popen(worker, env=e, stdout=log, stderr=log, start_new_session=True, cwd=cwd)
        t0 = time.time(); c0 = None; s0 = b
        while count_ts(d) < tot:
            time.sleep(0.02)
            if time.time() - t0 > timeout or w.poll() is not None:
                out['incomplete'] = count_ts(d); break
        c1, rss = cpu_rss(w.pid)
        time.sleep(0.3)
        s1 = r.snap(); dd = diff(s0, s1)
        ts = read_ts(d); runs = sorted(t[1] for t in ts)
        if len(runs) < 2: raise SystemExit(f'{peer}: nothing ran; see log')
        # steady drain rate: exclude first/last; wall between first and last handler call
        out['drain_per_s'] = round((len(runs) - 1) / (runs[-1] - runs[0]))
        k = max(1, len(runs) // 10)
        out['drain_mid80_per_s'] = round((len(runs) - 2 * k) / max(1e-9, runs[-k] - runs[k]))
        out['startup_to_first_s'] = round(runs[0] - t0, 2)
        out['cpu_s'] = round(c1, 2); out['worker_cpu_us_per_job'] = round(c1 / tot * 1e6)
        out['redis_cpu_us_per_job'] = round(dd['cpu'] / tot * 1e6, 1)
        out['redis_cmds_per_job'] = round(dd['total'] / tot, 2)
        out['net_reads_per_job'] = round(dd['reads'] / tot, 2)
        out['done_bytes_per_job'] = round((s1['mem'] - a['mem']) / tot)
        if aof: out['aof_bytes_per_job'] = round(en['aof'] / tot + dd['aof'] / tot)
        out['cmds'] = {k: round(v / tot, 3) for k, v in sorted(dd['cmds'].items(), key=lambda x: -x[1])[:14]}
        # latency with the idle worker still up
        for f in os.listdir(d):
            os.truncate(os.path.join(d, f), 0)
        time.sleep(0.7)
        ci0, _ = cpu_rss(w.pid); i0 = r.snap(); time.sleep(3); ci1, _ = cpu_rss(w.pid); i1 = r.snap(); di = diff(i0, i1)
        out['idle_worker_cpu_pct'] = round((ci1 - ci0) / 3 * 100, 2); out['idle_redis_cmds_per_s'] = round(di['total'] / 3, 1)
        if latency:
            x = subprocess.run(latency, env=e, capture_output=True, timeout=timeout, cwd=cwd)
            if x.returncode: out['lat_err'] = x.stderr.decode()[-500:]
            else:
                j = json.loads(x.stdout.decode().strip().splitlines()[-1])
                time.sleep(0.2)
                pick = [(b - a) * 1000 for a, b in read_ts(d) if a > 0]
                out['lat_n'] = len(pick); out['worker_alive'] = w.poll() is None
                if pick: out['p50_ms'] = round(pct(pick, .5), 3); out['p99_ms'] = round(pct(pick, .99), 3)
                if j.get('rt'):
                    out['result_p50_ms'] = round(pct(j['rt'], .5), 3); out['result_p99_ms'] = round(pct(j['rt'], .99), 3)
        _, rss = cpu_rss(w.pid); out['rss_mb'] = round(rss, 1)
    finally:
        if w: kill(w)
        r.stop(); shutil.rmtree(d, ignore_errors=True); log.close()
    line = json.dumps(out); print(line, flush=True)
    with open(os.environ.get('RESULTS','results.jsonl'), 'a') as f: f.write(line + '\n')
    return out
