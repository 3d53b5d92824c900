package interop;

import com.alipay.remoting.Connection;
import com.alipay.remoting.CustomSerializerManager;
import com.alipay.remoting.InvokeCallback;
import com.alipay.remoting.InvokeContext;
import com.alipay.remoting.rpc.RpcClient;
import com.alipay.remoting.rpc.RpcResponseFuture;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;

/**
 * Does one line of input after the other and prints a line for each: "=> answer|headers seen by the server|headers of the answer",
 * or "=> !exception|message".
 *
 * Words of a line: how (sync, future, callback, oneway, many, busy, stranger, wait, close) and key=value: url, text, what, delay, timeout,
 * size, count, crc, and h.NAME for headers.
 */
public class Client {
    private final RpcClient client = new RpcClient();

    private static Ask ask(Map<String, String> words) {
        Ask ask = new Ask();
        ask.what = words.getOrDefault("what", "echo");
        ask.text = words.getOrDefault("text", "");
        int size = Integer.parseInt(words.getOrDefault("size", "0"));
        if (size > 0) {
            ask.text = String.join("", Collections.nCopies(size, "x"));
        }
        ask.delayMs = Integer.parseInt(words.getOrDefault("delay", "0"));
        return ask;
    }

    private static InvokeContext context(Map<String, String> words) {
        Map<String, String> headers = new LinkedHashMap<>();
        headers.put("service", "com.example.Echo:1.0");
        headers.put("sofa_head_method_name", "say");
        for (Map.Entry<String, String> word : words.entrySet()) {
            if (word.getKey().startsWith("h.")) {
                headers.put(word.getKey().substring(2), word.getValue().equals("<null>") ? null : word.getValue());
            }
        }
        InvokeContext context = new InvokeContext();
        context.put(Headers.KEY, headers);
        if (words.containsKey("crc")) {
            context.put(InvokeContext.BOLT_CRC_SWITCH, words.get("crc").equals("on"));
        }
        return context;
    }

    private static String show(Object answer) {
        if (!(answer instanceof Answer)) {
            return String.valueOf(answer);
        }
        Answer found = (Answer) answer;
        String text = found.text.length() > 1000 ? found.text.length() + " bytes" : found.text;
        return text + "|" + found.seen + "|" + found.headers;
    }

    private String run(String how, Map<String, String> words) throws Exception {
        String url = words.get("url");
        int timeoutMs = Integer.parseInt(words.getOrDefault("timeout", "8000"));
        switch (how) {
            case "sync":
                return show(client.invokeSync(url, ask(words), context(words), timeoutMs));
            case "future":
                return show(client.invokeWithFuture(url, ask(words), context(words), timeoutMs).get(timeoutMs + 1000));
            case "callback":
                return show(callback(url, ask(words), context(words), timeoutMs).get(timeoutMs + 1000, TimeUnit.MILLISECONDS));
            case "oneway":
                client.oneway(url, ask(words), context(words));
                return "sent";
            case "many":
                return many(url, words, timeoutMs);
            case "busy":
                client.invokeWithFuture(url, Integer.valueOf(500), timeoutMs);
                return show(client.invokeSync(url, Integer.valueOf(1), timeoutMs));
            case "stranger":
                return show(client.invokeSync(url, "a class that nobody serves", timeoutMs));
            case "wait":
                return wait(url, Integer.parseInt(words.get("delay")));
            case "close":
                client.closeConnection(url);
                return "closed";
            default:
                throw new IllegalArgumentException(how);
        }
    }

    private CompletableFuture<Object> callback(String url, Ask ask, InvokeContext context, int timeoutMs) throws Exception {
        CompletableFuture<Object> done = new CompletableFuture<>();
        InvokeCallback callback = new InvokeCallback() {
            @Override
            public void onResponse(Object result) {
                done.complete(result);
            }

            @Override
            public void onException(Throwable error) {
                done.completeExceptionally(error);
            }

            @Override
            public Executor getExecutor() {
                return null;
            }
        };
        client.invokeWithCallback(url, ask, context, callback, timeoutMs);
        return done;
    }

    private String many(String url, Map<String, String> words, int timeoutMs) throws Exception {
        int right = 0;
        int count = Integer.parseInt(words.get("count"));
        for (int done = 0; done < count; ) {
            int batch = Math.min(100, count - done);
            List<RpcResponseFuture> futures = new ArrayList<>();
            for (int i = 0; i < batch; i++) {
                words.put("text", "number " + (done + i));
                futures.add(client.invokeWithFuture(url, ask(words), context(words), timeoutMs));
            }
            for (int i = 0; i < batch; i++) {
                Answer answer = (Answer) futures.get(i).get(timeoutMs + 1000);
                right += answer.text.equals("number " + (done + i)) ? 1 : 0;
            }
            done += batch;
        }
        return right + " right";
    }

    private String wait(String url, int delayMs) throws Exception {
        Connection connection = client.getConnection(url, 1000);
        Thread.sleep(delayMs);
        return connection.isFine() + "|" + connection.getChannel().attr(Connection.HEARTBEAT_COUNT).get();
    }

    private static String explain(Throwable error) {
        Throwable found = error instanceof java.util.concurrent.ExecutionException ? error.getCause() : error;
        return "!" + found.getClass().getSimpleName() + "|" + String.valueOf(found.getMessage()).replace('\n', ' ');
    }

    public static void main(String[] arguments) throws Exception {
        CustomSerializerManager.registerCustomSerializer(Ask.class.getName(), new Headers());
        CustomSerializerManager.registerCustomSerializer(Answer.class.getName(), new Headers());
        Client client = new Client();
        client.client.startup();
        System.out.println("=> ready");
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] parts = line.split("\t");
            Map<String, String> words = new HashMap<>();
            for (int i = 1; i < parts.length; i++) {
                words.put(parts[i].substring(0, parts[i].indexOf('=')), parts[i].substring(parts[i].indexOf('=') + 1));
            }
            String result;
            try {
                result = client.run(parts[0], words);
            } catch (Throwable error) {
                result = explain(error);
            }
            System.out.println("=> " + result);
        }
        System.exit(0);
    }
}
