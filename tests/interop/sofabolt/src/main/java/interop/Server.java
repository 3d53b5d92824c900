package interop;

import com.alipay.remoting.BizContext;
import com.alipay.remoting.CustomSerializerManager;
import com.alipay.remoting.rpc.RpcServer;
import com.alipay.remoting.rpc.protocol.SyncUserProcessor;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** Prints its port, then serves until its input ends. `Ask.what`: echo, fail, note (kept), notes (what was kept). */
public class Server extends SyncUserProcessor<Ask> {
    private final List<String> notes = new CopyOnWriteArrayList<>();

    @Override
    public Object handleRequest(BizContext context, Ask ask) throws Exception {
        Thread.sleep(ask.delayMs);
        Answer answer = new Answer();
        answer.text = ask.text;
        answer.seen = Headers.show(ask.headers);
        switch (ask.what) {
            case "fail":
                throw new IllegalStateException("as asked: " + ask.text);
            case "note":
                notes.add(ask.text + "/" + context.getClientTimeout());
                break;
            case "notes":
                answer.text = String.join(",", notes);
                break;
            default:
                break;
        }
        return answer;
    }

    @Override
    public String interest() {
        return Ask.class.getName();
    }

    /** Takes one request at a time and refuses the rest: a server whose thread pool is busy. */
    static class Single extends SyncUserProcessor<Integer> {
        private final Executor executor = new ThreadPoolExecutor(1, 1, 1, TimeUnit.MINUTES, new SynchronousQueue<>());

        @Override
        public Object handleRequest(BizContext context, Integer delayMs) throws Exception {
            Thread.sleep(delayMs);
            return delayMs;
        }

        @Override
        public Executor getExecutor() {
            return executor;
        }

        @Override
        public String interest() {
            return Integer.class.getName();
        }
    }

    public static void main(String[] arguments) throws Exception {
        CustomSerializerManager.registerCustomSerializer(Ask.class.getName(), new Headers());
        CustomSerializerManager.registerCustomSerializer(Answer.class.getName(), new Headers());
        RpcServer server = new RpcServer("127.0.0.1", 0);
        server.registerUserProcessor(new Server());
        server.registerUserProcessor(new Single());
        server.startup();
        System.out.println("=> " + server.port());
        while (System.in.read() >= 0) {
            continue;
        }
        System.exit(0);
    }
}
