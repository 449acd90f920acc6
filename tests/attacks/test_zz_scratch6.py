from __future__ import annotations
import json, traceback
import pytest
from tests.gateway.conftest import running, provider, upstream
from tests.upstream import Upstream
from tests.upstream.reply import json_reply, sse_reply
from tests.upstream import anthropic_wire, chat_wire
from tests.web.conftest import Browser
from tests.server.conftest import call

HOST={"host":"127.0.0.1:3456"}

async def test_scratch(tmp_path, upstream: Upstream, monkeypatch):
    cfg={"PORT":3456,"HOST":"127.0.0.1","LOG":True,"Providers":[provider(upstream,"anthropic"),provider(upstream,"openai")],"Router":{"default":"anthropic,m1"}}
    home=tmp_path/"home"; home.mkdir()
    async with running(cfg,tmp_path,{"HOME":str(home)},records=tmp_path/"records.db") as router:
        app=router.app
        b=Browser(app)
        async def twin(path, query="", method="GET", body=b"", headers=None):
            try:
                a=await call(app,method,path,{**HOST,**({"content-type":"application/json"} if method!="GET" else {}),**(headers or {})},body,query=query.encode() if isinstance(query,str) else query)
                print(method,path,query[:80],"->",a.status,a.raw[:300] if a.status>=400 else "")
                return a
            except BaseException as e:
                print(method,path,query[:80],"RAISED",type(e),e)
        async def pg(path, query=""):
            a=await b.get(path, query=query.encode() if isinstance(query,str) else query)
            print("PAGE",path,query[:60],"->",a.status, a.raw[:200] if a.status>=400 else "")
            return a
        upstream.always(lambda r: json_reply(anthropic_wire.message_json(text="hi")))
        for model in ["any","=cmd()|x","\u001b]0;x\u0007","a\x00b","x"*5000,"\ud7ff"]:
            print(await router.ask(model=model, headers={"user-agent":"claude-cli/<script>"}))
        st,_,raw=0,0,0
        async with router.client.post(router.url+"/v1/messages",data=b'{"model":"\\ud800","max_tokens":5,"messages":[{"role":"user","content":"x"}]}',headers={"content-type":"application/json"}) as r: print("surrogate model",r.status,(await r.read())[:200])
        async with router.client.post(router.url+"/v1/messages",data=b'{"model":"m","max_tokens":5,"metadata":{"user_id":"user_x_account__session_\\u0000\\n\\u001b[31m"},"messages":[{"role":"user","content":"x"}]}',headers={"content-type":"application/json"}) as r: print("session",r.status,(await r.read())[:200])
        # huge usage
        def huge(n):
            m=anthropic_wire.message_json(text="hi"); m["usage"]={"input_tokens":n,"output_tokens":1}; return m
        for n in (2**62,2**62,2**62,2**70):
            upstream.always(lambda r,n=n: json_reply(huge(n)))
            print(await router.ask(model="any"))
        import asyncio
        if app.recorder: await asyncio.to_thread(app.recorder.flush,5.0)
        for p in ["/api/overview","/api/requests","/api/sessions","/api/providers","/api/routes","/api/policy/file","/api/config/file","/api/statusline","/metrics","/api/logs"]:
            await twin(p)
        many="&".join(f"a{i}=1" for i in range(100))
        for p in ["/api/overview","/api/requests","/api/statusline","/api/logs"]:
            await twin(p,many)
        await pg("/ui/",many); await pg("/ui/requests",many); await pg("/ui/config",many)
        a=await b.get("/ui/logs/download",query=many.encode()); print("dl",a.status,a.raw[:200])
        for q in ["search=%ED%9F%BF","search=%00","search=%F4%8F%BF%BF","before=99999999999999999999","search=%25%25","since=9999-01-01","model=%00","session=%ED%A0%80"]:
            await twin("/api/requests",q)
        for q in ["search=%ED%9F%BF","before=999999999999999999-999999999999999999","before=1-1", "before=9999999999999999999999-1"]:
            await twin("/api/sessions",q)
        await twin("/api/sessions/%ED%A0%80"); await twin("/api/sessions/\x00"); await twin("/api/requests/a%00b"); await twin("/api/exchanges/%ED%9F%BF")
        await twin("/api/statusline","session=%ED%9F%BF")
        for q in ["before=1.1","before=99999999999999999999.999999999999999999","level=x","lines=99999","search=%ED%A0%80","since=zzz","file=..%2Fx","file=%00"]:
            await twin("/api/logs",q); await pg("/ui/logs",q)
        # try
        big="1"*5000
        for body in ['{"model":"x","max_tokens":5,"messages":[{"role":"user","content":"x"}],"n":%s}'%big,'{"model":"\\ud800","max_tokens":5,"messages":[{"role":"user","content":"x"}]}','{"model":"x","max_tokens":NaN,"messages":[]}','"x"','['*10000]:
            a=await b.post("/ui/routes",{"request":body}); print("try",a.status,a.raw[-200:] if a.status>=500 else "")
            await twin("/api/routes/try",method="POST",body=b'{"request":'+body.encode()+b'}')
        for body in [{"policy":"document"},{"policy":"{\"name\":\"\ud800\"}"},{"policy":{"name":"x"}},{"since":"0001-01-01T00:00:00+23:59"},{"since":"9999-12-31T23:59:59-23:59"},{"until":"0001-01-01T00:00:00+23:59"},{"until":"9999-12-31T23:59:59-23:59"},{"until":"1h"},{"since":"1900-01-01"},{"config":{"Providers":5}},{"config":{"PORT":"$SECRETVAR"}},{"config":"\ud800"},{"config":{"a":"\ud800"}},{"config":"["*5000}]:
            await twin("/api/policy/simulate",method="POST",body=json.dumps(body).encode())
        for fields in [{"config":"document","configText":'{"Providers":[{"name":"p","api_base_url":"https://u:p@h/\\ud800","models":["m"]}]}'},{"policy":"document","policyText":'{"name":"\\ud800"}'},{"policy":"x","range":"\x00"}]:
            a=await b.post("/ui/policy/simulate",fields); print("sim",a.status, a.raw[-200:] if a.status>=500 else "")
        # config
        a=await b.post("/ui/config/change/text",{"text":'{"x":"https://u:p@h/\\ud800", "PORT":3456}',"digest":""}); print("cfg",a.status,a.headers.get("location"),a.raw[:100])
        if a.status==303:
            import re
            c=re.search("change=([0-9a-f]+)",a.headers["location"])[1]
            await pg("/ui/config","change="+c); await twin("/api/config/file","change="+c)
        for p in ["/api/overview","/api/requests","/api/sessions","/api/providers"]:
            await twin(p)
        await pg("/ui/"); await pg("/ui/requests"); await pg("/ui/sessions")
        for ex in (await twin("/api/requests")).json["items"][:20]:
            await twin("/api/exchanges/"+ex["id"]); await pg("/ui/requests/"+ex["id"])
            if ex["session"]:
                from urllib.parse import quote
                print(repr(ex["session"]))
                await pg("/ui/sessions/"+quote(ex["session"]))
